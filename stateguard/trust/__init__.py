"""Keys, signatures and statements: bytes in, verdict out."""
