"""Git: repositories, trees, commits, tags, fingerprints."""
