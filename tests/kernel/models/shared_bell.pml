/* The shared doorbell (doorbell.py): several sleep on it, as the consumers of a many-to-many ring do.
 *
 * Two producers publish a message each, two consumers take them in order; who finds one takes it, so that
 * a sleeper may be woken for a message that is gone, or before the one that comes first is there. Who has
 * taken one may work on it for ever. The ring is closed when both are published, or only when both are
 * taken. A lost wake-up is an invalid end state. Faults to plant: NO_RINGER_FENCE, KEEP_COUNT (who disarms
 * too late leaves the write in the eventfd, and its announcement in `armed`), NO_PASSING_ON (who has taken
 * a message does not wake another one for the next).
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

#define IS_FILLED (taken < MESSAGES && memory[taken] == 1)
#define NEWS (IS_FILLED || memory[CLOSED])

proctype producer(byte me) {
    byte message = me, armed = 0, k = 0;
    bool won = false, rung = false;
    RELEASE(me, message, 1);
    bell_ring(me);
    atomic { FENCE(me); producing-- }
    if
    :: atomic { me == 0 -> producing == 0 } ->
        if
        :: true
        :: true -> taken == MESSAGES
        fi;
        RELEASE(me, CLOSED, 1);
        do
        :: bell_ring(me); if :: !rung -> break :: else fi
        od
    :: else
    fi
}

proctype consumer(byte me) {
    byte armed = 0, k = 0;
    bool won = false, rung = false, news = false;
    do
    :: atomic { IS_FILLED -> taken++ }
#ifndef NO_PASSING_ON
        if
        :: IS_FILLED -> bell_ring(me)
        :: else
        fi;
#endif
        if
        :: true
        :: break  /* works on */
        fi
    :: atomic { !IS_FILLED && memory[CLOSED] -> break }
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
