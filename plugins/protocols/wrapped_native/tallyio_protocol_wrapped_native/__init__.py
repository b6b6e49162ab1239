"""The wrapped native token as a pool: native currency into it and back, one to one."""
