"""Secrets in what somebody pushes: found by the formats that issuers document, and by the names they stand under."""
