"""How long the stages of a request take, beside one embedding of its query in the same process."""
