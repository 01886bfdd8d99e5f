"""The HTTP edge: one module a concern, thin handlers, meaning in the layers below."""
