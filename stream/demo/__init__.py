"""The demo: sample calls through a real worker, on a broker that needs no installation.

`__main__` plugs it together and `session` tells the story; `replay` and `summary` decide what is
said and what it was worth; `broker`, `worker`, `flags` and `view` touch the world.
"""
