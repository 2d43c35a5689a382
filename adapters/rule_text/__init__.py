"""Rule conditions out of text: a grammar, read by lark."""
