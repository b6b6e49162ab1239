/* Memory as processors show it, for spin, whose own variables are sequentially consistent.
 *
 * Each thread has a buffer of stores that nobody else sees yet. A store goes into the buffer, and later
 * from there to memory, whenever `drain` runs; a load takes the thread's own newest store to that
 * place, or else what memory holds. Stores leave the buffer in any order, but for two rules: those
 * to one place stay in order, and a release leaves after all that was stored before it. That is weaker
 * than x86, where stores leave in order (total store order), so what holds here holds there.
 * Loads happen in the order of the program: what acquire and fences ask for.
 *
 * The model that includes this defines PLACES (words of memory) and THREADS.
 */

#define DEPTH 4  /* stores that a buffer holds; a fuller one makes its thread wait */

byte memory[PLACES];

typedef Buffer {
    byte length;
    byte place[DEPTH];
    byte value[DEPTH];
    bool release[DEPTH];
};
Buffer buffers[THREADS];

inline put(me, where, what, is_release) {
    d_step {
        buffers[me].length < DEPTH ->
        buffers[me].place[buffers[me].length] = where;
        buffers[me].value[buffers[me].length] = what;
        buffers[me].release[buffers[me].length] = is_release;
        buffers[me].length++;
    }
}

#define STORE(me, where, what)    put(me, where, what, false)
#define RELEASE(me, where, what)  put(me, where, what, true)

/* Into `result`: a relaxed or an acquiring load. */
inline LOAD(me, where, result) {
    d_step {
        result = memory[where];
        k = 0;
        do
        :: k < buffers[me].length ->
            if
            :: buffers[me].place[k] == where -> result = buffers[me].value[k]
            :: else
            fi;
            k++
        :: else -> break
        od;
        k = 0
    }
}

#define FENCE(me)  (buffers[me].length == 0)

/* Atomic operations act on memory itself, after all that the thread stored before. */
inline COMPARE_EXCHANGE(me, where, expected, desired, ok) {
    atomic {
        FENCE(me);
        if
        :: memory[where] == expected -> memory[where] = desired; ok = true
        :: else -> ok = false
        fi
    }
}

inline FETCH_ADD(me, where, amount) {
    atomic { FENCE(me); memory[where] = memory[where] + amount }
}

/* Whether the k-th store in the buffer may be the next to leave. */
#define EARLIER_SAME(me, k, e) (e < k && buffers[me].place[e] == buffers[me].place[k])
#define MAY_LEAVE(me, k) (k < buffers[me].length && (k == 0 || (!buffers[me].release[k] \
    && !EARLIER_SAME(me, k, 0) && !EARLIER_SAME(me, k, 1) && !EARLIER_SAME(me, k, 2))))

inline leave(me, which) {
    memory[buffers[me].place[which]] = buffers[me].value[which];
    k = which;
    do
    :: k + 1 < buffers[me].length ->
        buffers[me].place[k] = buffers[me].place[k + 1];
        buffers[me].value[k] = buffers[me].value[k + 1];
        buffers[me].release[k] = buffers[me].release[k + 1];
        k++
    :: else -> break
    od;
    buffers[me].length--;
    /* What is left behind would only tell equal states apart. */
    buffers[me].place[buffers[me].length] = 0;
    buffers[me].value[buffers[me].length] = 0;
    buffers[me].release[buffers[me].length] = false;
    k = 0
}

proctype drain(byte me) {
    byte k = 0;
end:
    do
    :: d_step { MAY_LEAVE(me, 0) -> leave(me, 0) }
    :: d_step { MAY_LEAVE(me, 1) -> leave(me, 1) }
    :: d_step { MAY_LEAVE(me, 2) -> leave(me, 2) }
    :: d_step { MAY_LEAVE(me, 3) -> leave(me, 3) }
    od
}
