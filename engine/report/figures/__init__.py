"""The figures of the page: each module draws one kind, from plain rows."""
