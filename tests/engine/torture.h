/*
 * Torture: every story of a table is run again and again, each time killed at another step(). The process really dies
 * there, by SIGKILL, while server and wire go on in shared memory. Another process starts on what is on the disk, the
 * server's faults end, and after some more traffic everything must be as if nothing had happened: each message of the
 * server's archive stored once and in its order, coverage honest and whole, what was accepted for sending at the receiver
 * once or said to have failed. What the story itself would have done or expected after that step is not looked at.
 */
#pragma once

#include "story.h"

/*
 * main() of a table of stories. As a rule runs them with cmocka. With VARVE_TORTURE=all each is killed at each of its
 * steps, with VARVE_TORTURE=N at N of each, spread evenly. VARVE_STORY=NAME: that one only, VARVE_STEP=N: at that step.
 */
int torture_main(const struct CMUnitTest *stories, size_t n);
