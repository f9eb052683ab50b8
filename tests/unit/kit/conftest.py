"""The plugin's fixture, also where this project was installed before it had one."""

from ftq_testing.plugin import ftq_harness as ftq_harness
