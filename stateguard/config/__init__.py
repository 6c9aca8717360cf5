"""The files that people write: strict YAML and JSON, schemas, shipped defaults."""
