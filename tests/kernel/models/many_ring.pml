/* The many-to-many ring (many_ring.py): Vyukov's, two producers and two consumers.
 *
 * With DROP_OLDEST a producer that finds the ring full takes the oldest message out and counts it. A
 * side that waits is a guard, not a loop, so that a lost message is an invalid end state. Faults to
 * plant: RELAXED_PUBLISH (the sequence number does not wait for the word), NO_COMPARE (a position is
 * taken without a compare-exchange), EARLY_RELEASE (a cell is given back before it is read).
 */
#define CAPACITY 2
#define EACH 2
#define PRODUCERS 2
#ifdef DROP_OLDEST
#define CONSUMERS 1  /* the producers take messages out, too */
#else
#define CONSUMERS 2
#endif
#define MESSAGES (PRODUCERS * EACH)
#define SEQUENCE(n) ((n) % CAPACITY)
#define WORD(n) (CAPACITY + (n) % CAPACITY)
#define HEAD (2 * CAPACITY)
#define TAIL (2 * CAPACITY + 1)
#define PLACES (2 * CAPACITY + 2)
#define THREADS (PRODUCERS + CONSUMERS)
#include "weak_memory.pml"

#ifdef RELAXED_PUBLISH
#define PUBLISH STORE
#else
#define PUBLISH RELEASE
#endif
#ifdef NO_COMPARE
#define WIN(me, where, position, ok) RELEASE(me, where, position + 1); ok = true
#else
#define WIN(me, where, position, ok) COMPARE_EXCHANGE(me, where, position, position + 1, ok)
#endif

bool arrived[MESSAGES];
byte accounted = 0;

inline account(message) {
    d_step {
        assert(message > 0 && message <= MESSAGES && !arrived[message - 1]);
        arrived[message - 1] = true;
        accounted++
    }
}

/* Takes a message into `word`; with nothing there, `word` is 0. */
inline take(me) {
    word = 0;
    LOAD(me, TAIL, position);
    do
    :: true ->
        LOAD(me, SEQUENCE(position), sequence);
        if
        :: sequence == position + 1 ->
            WIN(me, TAIL, position, won);
            if
            :: won ->
#ifdef EARLY_RELEASE
                RELEASE(me, SEQUENCE(position), position + CAPACITY);
#endif
                LOAD(me, WORD(position), word);
#ifndef EARLY_RELEASE
                RELEASE(me, SEQUENCE(position), position + CAPACITY);
#endif
                break
            :: else -> LOAD(me, TAIL, position)
            fi
        :: sequence < position + 1 -> break
        :: else -> LOAD(me, TAIL, position)
        fi
    od
}

proctype producer(byte me) {
    byte sent = 0, position = 0, sequence = 0, word = 0, k = 0;
    bool won = false;
    do
    :: sent < EACH ->
        LOAD(me, HEAD, position);
        do
        :: true ->
            LOAD(me, SEQUENCE(position), sequence);
            if
            :: sequence == position ->
                WIN(me, HEAD, position, won);
                if
                :: won -> break
                :: else -> LOAD(me, HEAD, position)
                fi
            :: sequence < position ->
#ifdef DROP_OLDEST
                take(me);
                if
                :: word > 0 -> account(word)
                :: else
                fi;
#endif
                /* full: wait until the cell at the head is free */
                memory[SEQUENCE(memory[HEAD])] >= memory[HEAD];
                LOAD(me, HEAD, position)
            :: else -> LOAD(me, HEAD, position)
            fi
        od;
        STORE(me, WORD(position), me * EACH + sent + 1);
        PUBLISH(me, SEQUENCE(position), position + 1);
        sent++
    :: else -> break
    od
}

proctype consumer(byte me) {
    byte position = 0, sequence = 0, word = 0, k = 0;
    bool won = false;
    do
    :: atomic {
            accounted == MESSAGES || memory[SEQUENCE(memory[TAIL])] > memory[TAIL] ->
            if
            :: accounted == MESSAGES -> break
            :: else
            fi
        }
        take(me);
        if
        :: word > 0 -> account(word)
        :: else
        fi
    od
}

init {
    atomic {
        memory[SEQUENCE(0)] = 0;
        memory[SEQUENCE(1)] = 1;
        run drain(0); run drain(1); run drain(2);
        run producer(0); run producer(1); run consumer(2);
#ifndef DROP_OLDEST
        run drain(3); run consumer(3)
#endif
    }
}
