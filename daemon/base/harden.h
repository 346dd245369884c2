/*
 * The first thing that a program with access to the archive does.
 */
#pragma once

/*
 * The archive is private: no core dumps, no ptrace by others, no group or world bits on anything we make. SIGPIPE is
 * ignored: who reads no more is an error of that write alone. Standard descriptors that were closed are /dev/null: else the
 * next file that is opened becomes one, and the log is written into it.
 */
void harden(void);
