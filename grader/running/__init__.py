"""Where submissions run: sandboxes on this machine or on a cluster, and what comes out of them."""
