"""What `audit` says of AuditEvents: whether their chains are whole, and who accessed a record."""
