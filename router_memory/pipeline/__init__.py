"""Reading and writing memories over the protocols alone: recall, inject, remember."""
