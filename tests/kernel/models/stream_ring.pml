/* The stream ring (stream_ring.py): Lamport's, in batches, each side keeping what it saw of the other.
 *
 * A side that waits is a guard, not a loop, so that a lost message is an invalid end state.
 * Faults to plant: RELAXED_PUBLISH (the head does not wait for the words), EARLY_RELEASE (the consumer
 * gives cells back before it has read them), OFF_BY_ONE (the producer thinks there is room for one more).
 */
#define CAPACITY 4
#define MESSAGES 8
#define BATCH 3
#define HEAD CAPACITY
#define TAIL (CAPACITY + 1)
#define PLACES (CAPACITY + 2)
#define THREADS 2
#define PRODUCER 0
#define CONSUMER 1
#include "weak_memory.pml"

#ifdef RELAXED_PUBLISH
#define PUBLISH STORE
#else
#define PUBLISH RELEASE
#endif
#ifdef OFF_BY_ONE
#define SLOTS (CAPACITY + 1)
#else
#define SLOTS CAPACITY
#endif

proctype producer() {
    byte head = 0, seen_tail = 0, want = 0, n = 0, k = 0;
    do
    :: head < MESSAGES ->
        select(want : 1 .. BATCH);
        if
        :: SLOTS - (head - seen_tail) < want ->
            head - memory[TAIL] < SLOTS;
            LOAD(PRODUCER, TAIL, seen_tail)
        :: else
        fi;
        d_step {
            if :: want > MESSAGES - head -> want = MESSAGES - head :: else fi;
            if :: want > SLOTS - (head - seen_tail) -> want = SLOTS - (head - seen_tail) :: else fi;
            n = 0
        }
        do
        :: n < want -> STORE(PRODUCER, (head + n) % CAPACITY, head + n + 1); n++
        :: else -> break
        od;
        PUBLISH(PRODUCER, HEAD, head + want);
        head = head + want
    :: else -> break
    od
}

proctype consumer() {
    byte tail = 0, seen_head = 0, most = 0, n = 0, word = 0, k = 0;
    do
    :: tail < MESSAGES ->
        select(most : 1 .. BATCH);
        if
        :: seen_head - tail < most ->
            memory[HEAD] > tail;
            LOAD(CONSUMER, HEAD, seen_head)
        :: else
        fi;
        d_step { if :: most > seen_head - tail -> most = seen_head - tail :: else fi; n = 0 }
#ifdef EARLY_RELEASE
        RELEASE(CONSUMER, TAIL, tail + most);
#endif
        do
        :: n < most ->
            LOAD(CONSUMER, (tail + n) % CAPACITY, word);
            assert(word == tail + n + 1);
            n++
        :: else -> break
        od;
#ifndef EARLY_RELEASE
        RELEASE(CONSUMER, TAIL, tail + most);
#endif
        tail = tail + most
    :: else -> break
    od
}

init { atomic { run drain(PRODUCER); run drain(CONSUMER); run producer(); run consumer() } }
