"""The weighted sum of values, from which a key that is left out stays out."""

from attncli.core.step import Array, Namespace


def weighted_sum(weights: Array, value: Array, left_out: Array | None, xp: Namespace) -> Array:
    """Σ_j w_ij v_j over the keys that are not left out, `(… n_queries d_v)`.

    A key that is left out cannot reach the output, not even with NaN or infinity: its value is
    never multiplied by its weight of zero.
    """
    finite = xp.isfinite(value)
    if left_out is None or xp.all(finite):
        return xp.matmul(weights, value)
    output = xp.matmul(weights, xp.where(finite, value, xp.zeros_like(value)))
    weights = xp.where(left_out & (weights == 0), xp.zeros_like(weights), weights)
    for key in range(value.shape[-2]):
        if xp.all(finite[..., key, :]):
            continue
        poison = xp.where(
            finite[..., key, :], xp.zeros_like(value[..., key, :]), value[..., key, :]
        )
        reaches = weights[..., :, key, None] * poison[..., None, :]  # (… n_queries d_v)
        skip = left_out[..., :, key, None] & (weights[..., :, key, None] == 0)
        output = output + xp.where(skip, xp.zeros_like(reaches), reaches)
    return output
