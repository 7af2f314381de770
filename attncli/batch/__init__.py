"""Many jobs: what a manifest lists, done on this machine or a cluster, killed and finished later."""
