/* The armed doorbell (doorbell.py) on both sides of a ring of one producer and one consumer.
 *
 * Both sides sleep as soon as they can (PARK). What they wait for is abstract: HEAD and TAIL, which
 * the ring's own model shows to be right, and CLOSED. A wake-up that is lost leaves somebody asleep for
 * ever, which spin reports as an invalid end state. Faults to plant: NO_RINGER_FENCE,
 * NO_SLEEPER_FENCE, NO_SECOND_LOOK.
 */
#define CAPACITY 1
#define MESSAGES 3
#define HEAD 0
#define TAIL 1
#define CLOSED 2
#define ARMED(bell) (3 + (bell))
#define PLACES 5
#define THREADS 2
#define PRODUCER 0
#define CONSUMER 1
#define FILLED 0
#define FREE 1
#include "weak_memory.pml"

#ifdef NO_RINGER_FENCE
#define RINGER_FENCE(me) skip
#else
#define RINGER_FENCE(me) FENCE(me)
#endif
#ifdef NO_SLEEPER_FENCE
#define SLEEPER_FENCE(me) skip
#else
#define SLEEPER_FENCE(me) FENCE(me)
#endif

byte count[2];  /* the eventfds */

inline bell_ring(me, bell) {
    RINGER_FENCE(me);
    LOAD(me, ARMED(bell), armed);
    if
    :: armed == 1 ->
        COMPARE_EXCHANGE(me, ARMED(bell), 1, 0, won);
        if
        :: won -> count[bell]++
        :: else
        fi
    :: else
    fi
}

inline bell_arm(me, bell) { STORE(me, ARMED(bell), 1); SLEEPER_FENCE(me) }

inline bell_disarm(me, bell) { COMPARE_EXCHANGE(me, ARMED(bell), 1, 0, won) }

inline bell_sleep(me, bell) {
    d_step { count[bell] > 0 -> count[bell] = 0 }
    STORE(me, ARMED(bell), 0)
}

inline look(me) {
    LOAD(me, HEAD, head);
    LOAD(me, TAIL, tail);
    LOAD(me, CLOSED, closed)
}

/* The waiting loop of ring_wait.py; `ready` is what the side waits for. */
#define WAIT(me, bell, ready) \
    do \
    :: look(me); \
        if \
        :: ready -> break \
        :: else \
        fi; \
        bell_arm(me, bell); \
        SECOND_LOOK(me); \
        if \
        :: ready -> bell_disarm(me, bell) \
        :: else -> bell_sleep(me, bell) \
        fi \
    od

#ifdef NO_SECOND_LOOK
#define SECOND_LOOK(me) skip
#else
#define SECOND_LOOK(me) look(me)
#endif

proctype producer() {
    byte n = 0, head = 0, tail = 0, closed = 0, armed = 0, k = 0;
    bool won = false;
    do
    :: n < MESSAGES ->
        WAIT(PRODUCER, FREE, head - tail < CAPACITY);
        RELEASE(PRODUCER, HEAD, n + 1);
        bell_ring(PRODUCER, FILLED);
        n++
    :: else -> break
    od;
    RELEASE(PRODUCER, CLOSED, 1);
    bell_ring(PRODUCER, FILLED);
    bell_ring(PRODUCER, FREE)
}

proctype consumer() {
    byte n = 0, head = 0, tail = 0, closed = 0, armed = 0, k = 0;
    bool won = false;
    do
    :: true ->
        WAIT(CONSUMER, FILLED, head > tail || closed);
        LOAD(CONSUMER, HEAD, head);  /* what was pushed before the ring was closed is seen after `closed` is */
        if
        :: head > n ->
            RELEASE(CONSUMER, TAIL, n + 1);
            bell_ring(CONSUMER, FREE);
            n++
        :: else -> break
        fi
    od;
    assert(n == MESSAGES)
}

init { atomic { run drain(PRODUCER); run drain(CONSUMER); run producer(); run consumer() } }
