/* A leaky integrator: the smallest state-space model there is.
 *
 * The state h is one number. At each step it keeps the share `decay` of itself
 * and takes in the rest from the input, so it follows the input like a cork
 * on a slow wave. Compile with: cc -O2 leaky_integrator.c -o leaky -lm
 */

#include <math.h>
#include <stdio.h>

struct integrator {
    double state;
    double decay; /* between 0, no memory, and 1, no forgetting */
};

static double step(struct integrator *self, double input)
{
    self->state = self->decay * self->state + (1.0 - self->decay) * input;
    return self->state;
}

int main(void)
{
    struct integrator slow = {0.0, 0.9};

    for (int t = 0; t < 40; t++) {
        double input = t < 20 ? 1.0 : 0.0;
        printf("%2d  input %.1f  state %.4f\n", t, input, step(&slow, input));
    }
    return 0;
}
