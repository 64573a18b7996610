"""Commands of `sentopic` that have files of their own: their options beside what they do."""
