/* The shared doorbell (doorbell.py): several sleep on it, as the consumers of a many-to-many ring do.
 *
 * Two producers publish a message each, two consumers take them; who finds one takes it, so that a
 * sleeper may be woken for a message that is gone. Then the ring is closed. A lost wake-up is an invalid
 * end state. Faults to plant: NO_RINGER_FENCE, KEEP_COUNT (who disarms too late leaves the write in
 * the eventfd, and its announcement in `armed`).
 */
#define MESSAGES 2
#define CLOSED MESSAGES
#define ARMED (MESSAGES + 1)
#define PLACES (MESSAGES + 2)
#define THREADS 4
#include "weak_memory.pml"

#ifdef NO_RINGER_FENCE
#define RINGER_FENCE(me) skip
#else
#define RINGER_FENCE(me) FENCE(me)
#endif

byte count = 0;  /* the eventfd, a semaphore */
byte producing = 2, taken = 0, sleepers = 0;
bool gone[MESSAGES];

inline bell_ring(me) {
    RINGER_FENCE(me);
    rung = false;
    do
    :: true ->
        LOAD(me, ARMED, armed);
        if
        :: armed == 0 -> break
        :: else ->
            COMPARE_EXCHANGE(me, ARMED, armed, armed - 1, won);
            if
            :: won -> count++; rung = true; break
            :: else
            fi
        fi
    od
}

inline bell_disarm(me) {
    do
    :: true ->
        LOAD(me, ARMED, armed);
        if
        :: armed == 0 ->
#ifndef KEEP_COUNT
            d_step { count > 0 -> count-- }
#endif
            break
        :: else ->
            COMPARE_EXCHANGE(me, ARMED, armed, armed - 1, won);
            if
            :: won -> break
            :: else
            fi
        fi
    od
}

#define IS_THERE(n) (memory[n] == 1 && !gone[n])
#define NEWS (IS_THERE(0) || IS_THERE(1) || memory[CLOSED])

proctype producer(byte me) {
    byte message = me, armed = 0, k = 0;
    bool won = false, rung = false;
    RELEASE(me, message, 1);
    bell_ring(me);
    atomic { FENCE(me); producing-- }
    if
    :: atomic { me == 0 -> producing == 0 } ->
        RELEASE(me, CLOSED, 1);
        do
        :: bell_ring(me); if :: !rung -> break :: else fi
        od
    :: else
    fi
}

proctype consumer(byte me) {
    byte armed = 0, k = 0;
    bool won = false, news = false;
    do
    :: atomic { IS_THERE(0) -> gone[0] = true; taken++ }
    :: atomic { IS_THERE(1) -> gone[1] = true; taken++ }
    :: atomic { !IS_THERE(0) && !IS_THERE(1) && memory[CLOSED] -> break }
    :: d_step { !NEWS -> sleepers++ }
        FETCH_ADD(me, ARMED, 1);
        FENCE(me);
        news = NEWS;
        if
        :: news -> bell_disarm(me)
        :: else -> d_step { count > 0 -> count-- }
        fi;
        sleepers--
    od
}

init {
    atomic {
        run drain(0); run drain(1);
        run producer(0); run producer(1); run consumer(2); run consumer(3)
    }
    (_nr_pr == 3);  /* all but the two buffers have ended */
    assert(taken == MESSAGES && memory[ARMED] == 0 && count == 0)
}
