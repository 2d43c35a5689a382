"""Forms made of a JSON Schema: what fields it has, what was typed into them, and what is wrong with that.

What fits no field is shown as JSON text. Nothing here knows of HTTP: forms are lists of texts by name.
"""
