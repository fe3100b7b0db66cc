"""The reader: a child process of the agent that reads configuration and inventory, follows the source, and says what is to become of them.

It is a process of its own so that a database that hangs holds up nothing, and the megabytes it takes to read strictly are not the agent's.
Either end may die. The child goes with its parent; when the child goes, what stands stands, and the parent makes another one.
"""
