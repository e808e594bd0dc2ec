"""Who may open what: identities, recipients, the tier chain, section keys and grants. The only room that wraps keys."""
