"""Many jobs: what a manifest lists, done here or on a cluster, killed and finished later."""
