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
    for key in range(value.shape[-2]):
        if xp.all(finite[..., key, :]):
            continue
        weight, row = weights[..., :, key, None], value[..., None, key, :]
        poison = xp.where(finite[..., None, key, :], xp.zeros_like(row), row)
        reaches = weight * poison  # (… n_queries d_v)
        skip = left_out[..., :, key, None] & (weight == 0)
        output = output + xp.where(skip, xp.zeros_like(reaches), reaches)
    return output
