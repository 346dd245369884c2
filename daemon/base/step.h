/*
 * Crash-only: step("store.commit") stands after every durable effect. The torture suite counts the steps of a story
 * and then runs it once per step, dying there. A durable effect without a step is a bug.
 */
#pragma once

/*
 * Count one durable effect. With VARVE_STEP_KILL=N in the environment the process kills itself with SIGKILL at the
 * N-th step (1 = first); with VARVE_STEP_LOG=FILE each step's name is appended to FILE. Costs a counter otherwise.
 */
void step(const char *name);
