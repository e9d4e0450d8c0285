/* The limit: descents on the Rosenbrock function that keep nothing but their best value.

   f(x, y) = (1 - x)^2 + 100 (y - x^2)^2, in float. GROUP descents go through all their steps together, so that their
   state stays in registers and in the first-level cache, and nothing of a step is written to memory. It records no
   outcome, stops no descent and judges nothing: no engine that does may be expected to be as fast.

   Every function takes the descents [first, last), reads rate, x and y, and writes best = min over x_0 ... x_steps. */

#include <math.h>

#ifndef GROUP
#define GROUP 64
#endif

typedef struct {
    float rate[GROUP], x[GROUP], y[GROUP], best[GROUP];
} Descents;

static void load(Descents *d, long at, int n, const float *rate, const float *x, const float *y) {
    for (int i = 0; i < GROUP; i++) {
        long j = at + (i < n ? i : n - 1); /* what is missing repeats the last one */
        d->rate[i] = rate[j], d->x[i] = x[j], d->y[i] = y[j], d->best[i] = INFINITY;
    }
}

/* The residual q = y - x^2 and what is left of x: value and gradient are made of these two. */
#define VALUE(p, q) ((p) * (p) + 100.0f * (q) * (q))

static void close(Descents *d, long at, int n, float *best) {
    for (int i = 0; i < n; i++) {
        float p = 1.0f - d->x[i], q = d->y[i] - d->x[i] * d->x[i], value = VALUE(p, q);
        best[at + i] = value < d->best[i] ? value : d->best[i];
    }
}

void gd(long first, long last, int steps, const float *rate, const float *x, const float *y, float *best) {
    for (long at = first; at < last; at += GROUP) {
        int n = last - at < GROUP ? (int)(last - at) : GROUP;
        Descents d;
        load(&d, at, n, rate, x, y);
        for (int k = 0; k < steps; k++) {
#pragma omp simd
            for (int i = 0; i < GROUP; i++) {
                float p = 1.0f - d.x[i], q = d.y[i] - d.x[i] * d.x[i], value = VALUE(p, q);
                d.best[i] = value < d.best[i] ? value : d.best[i];
                float down = 200.0f * q;
                d.x[i] += d.rate[i] * 2.0f * (p + d.x[i] * down);
                d.y[i] -= d.rate[i] * down;
            }
        }
        close(&d, at, n, best);
    }
}

void adam(long first, long last, int steps, const float *rate, const float *x, const float *y, float *best) {
    const float b1 = 0.9f, b2 = 0.999f, eps = 1e-8f;
    for (long at = first; at < last; at += GROUP) {
        int n = last - at < GROUP ? (int)(last - at) : GROUP;
        float mx[GROUP] = {0}, my[GROUP] = {0}, vx[GROUP] = {0}, vy[GROUP] = {0};
        double left1 = 1, left2 = 1; /* b1^k and b2^k */
        Descents d;
        load(&d, at, n, rate, x, y);
        for (int k = 0; k < steps; k++) {
            left1 *= b1, left2 *= b2;
            const float c1 = (float)(1 / (1 - left1)), c2 = (float)(1 / (1 - left2));
#pragma omp simd
            for (int i = 0; i < GROUP; i++) {
                float p = 1.0f - d.x[i], q = d.y[i] - d.x[i] * d.x[i], value = VALUE(p, q);
                d.best[i] = value < d.best[i] ? value : d.best[i];
                float gy = 200.0f * q, gx = -2.0f * (p + d.x[i] * gy);
                mx[i] = b1 * mx[i] + (1 - b1) * gx, my[i] = b1 * my[i] + (1 - b1) * gy;
                vx[i] = b2 * vx[i] + (1 - b2) * gx * gx, vy[i] = b2 * vy[i] + (1 - b2) * gy * gy;
                d.x[i] -= d.rate[i] * c1 * mx[i] / (sqrtf(c2 * vx[i]) + eps);
                d.y[i] -= d.rate[i] * c1 * my[i] / (sqrtf(c2 * vy[i]) + eps);
            }
        }
        close(&d, at, n, best);
    }
}
