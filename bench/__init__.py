"""What the gateway costs, measured beside its peers and the kernel's own floor."""
