"""The contract check: whether an org and its Run-As user are as this provider assumes."""
