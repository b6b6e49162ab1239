/* The latency ring (ring_cells.py): each cell is announced by a sequence number of its own.
 *
 * Every message has two words, to see a torn one. A side that waits is a guard, not a loop: a
 * message that is lost leaves both sides waiting, which spin reports as an invalid end state.
 * Faults to plant: RELAXED_PUBLISH (the sequence number does not wait for the words), RELAXED_FREE (the
 * tail does not wait for the reads), NO_ROOM_CHECK (the producer does not look at the tail).
 */
#define CAPACITY 2
#define MESSAGES 6
#define CELL(n, word) (((n) % CAPACITY) * 3 + (word))
#define TAIL (CAPACITY * 3)
#define PLACES (CAPACITY * 3 + 1)
#define THREADS 2
#define PRODUCER 0
#define CONSUMER 1
#include "weak_memory.pml"

#ifdef RELAXED_PUBLISH
#define PUBLISH STORE
#else
#define PUBLISH RELEASE
#endif

proctype producer() {
    byte head = 0, seen_tail = 0, k = 0;
    do
    :: head < MESSAGES ->
#ifndef NO_ROOM_CHECK
        if
        :: head - seen_tail >= CAPACITY ->
            head - memory[TAIL] < CAPACITY;  /* only the consumer writes it */
            LOAD(PRODUCER, TAIL, seen_tail)
        :: else
        fi;
#endif
        STORE(PRODUCER, CELL(head, 1), head + 1);
        STORE(PRODUCER, CELL(head, 2), head + 1);
        PUBLISH(PRODUCER, CELL(head, 0), head + 1);
        head++
    :: else -> break
    od
}

proctype consumer() {
    byte tail = 0, first = 0, second = 0, k = 0;
    do
    :: tail < MESSAGES ->
        memory[CELL(tail, 0)] == tail + 1;  /* only the producer writes it */
#ifdef RELAXED_FREE
        RELEASE(CONSUMER, TAIL, tail + 1);
#endif
        LOAD(CONSUMER, CELL(tail, 1), first);
        LOAD(CONSUMER, CELL(tail, 2), second);
        assert(first == tail + 1 && second == tail + 1);
#ifndef RELAXED_FREE
        RELEASE(CONSUMER, TAIL, tail + 1);
#endif
        tail++
    :: else -> break
    od
}

init { atomic { run drain(PRODUCER); run drain(CONSUMER); run producer(); run consumer() } }
