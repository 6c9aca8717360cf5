"""stateguard: GitOps for live agent systems, with an undo that is proven."""

__version__ = "0.1.0"
