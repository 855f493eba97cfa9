"""What the outside must be able to do: driver protocols, their value objects, the agent protocol.

A port names few verbs and all of them may be repeated: `ensure` brings a thing about, `remove` takes it away, `observe`
says what is really there. A missing ability is a missing word in `features`, never an exception. Every driver of a port
passes the same contract suite under `tests/contract`. Drivers announce themselves by entry points
(`maldon.hypervisor`, `maldon.switch`, `maldon.bus`).
"""
