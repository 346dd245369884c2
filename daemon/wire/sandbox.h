/*
 * What the wire gives up before it reads a byte from the network: privileges, descriptors, the environment, its
 * memory's readability, the user's files (wire/landlock.h). Whoever takes it over through a parser holds one socket and
 * one account's password.
 */
#pragma once

/* Call once, early in main(). Keeps fds 0 to 3. 0 or -errno: then do not go on. */
int sandbox_enter(void);
