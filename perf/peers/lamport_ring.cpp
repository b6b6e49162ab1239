// The peer: a Lamport ring of one producer and one consumer, written as a C++ programmer would.
//
// Power-of-two capacity, words of 64 bits, each side's index and its cached copy of the other's on
// cache lines of their own. The functions below run whole measurements, so that no call from Python falls between two operations;
// times are in cycles of the time stamp counter.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__x86_64__)
#include <x86intrin.h>
static inline int64_t cycles() { return static_cast<int64_t>(__rdtsc()); }
static inline void relax() { _mm_pause(); }
#elif defined(__aarch64__)
static inline int64_t cycles() {
    int64_t count;
    asm volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
}
static inline void relax() { asm volatile("yield"); }
#endif

namespace {

constexpr std::size_t line = 64;

struct Ring {
    explicit Ring(int64_t capacity)
        : mask(capacity - 1), cells(new (std::align_val_t(4096)) int64_t[capacity]()) {}
    ~Ring() { operator delete[](cells, std::align_val_t(4096)); }

    bool push(int64_t word) {
        const int64_t at = head.load(std::memory_order_relaxed);
        if (at - seen_tail > mask) {
            seen_tail = tail.load(std::memory_order_acquire);
            if (at - seen_tail > mask) return false;
        }
        cells[at & mask] = word;
        head.store(at + 1, std::memory_order_release);
        return true;
    }

    bool pop(int64_t &word) {
        const int64_t at = tail.load(std::memory_order_relaxed);
        if (at == seen_head) {
            seen_head = head.load(std::memory_order_acquire);
            if (at == seen_head) return false;
        }
        word = cells[at & mask];
        tail.store(at + 1, std::memory_order_release);
        return true;
    }

    const int64_t mask;
    int64_t *const cells;
    alignas(2 * line) std::atomic<int64_t> head{0};
    alignas(line) int64_t seen_tail = 0;
    alignas(2 * line) std::atomic<int64_t> tail{0};
    alignas(line) int64_t seen_head = 0;
    char end[2 * line];
};

}  // namespace

extern "C" {

Ring *ring_open(int64_t capacity) { return new Ring(capacity); }

void ring_free(Ring *ring) { delete ring; }

// Send a word there and wait for it to come back, `count` times; sample each round trip. Waiting is
// a bare loop, or one that tells the processor so: which one is faster depends on the processor.
void ring_ping(Ring *there, Ring *back, int64_t *samples, int64_t count, int64_t politely) {
    for (int64_t i = 0; i < count; ++i) {
        const int64_t start = cycles();
        int64_t word = -1;
        while (!there->push(i)) if (politely) relax();
        while (!back->pop(word)) if (politely) relax();
        samples[i] = word == i ? cycles() - start : -1;
    }
}

// Answer `ring_ping`.
void ring_pong(Ring *there, Ring *back, int64_t count, int64_t politely) {
    for (int64_t i = 0; i < count; ++i) {
        int64_t word;
        while (!there->pop(word)) if (politely) relax();
        while (!back->push(word)) if (politely) relax();
    }
}

// Push 0, 1, ... one at a time.
void ring_produce(Ring *ring, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        while (!ring->push(i)) {}
    }
}

// Pop `count` words one at a time; return the cycles that it took from the first one on, or -1 if
// they were not 0, 1, ...
int64_t ring_consume(Ring *ring, int64_t count) {
    int64_t word = -1, wrong = 0;
    while (!ring->pop(word)) {}
    const int64_t start = cycles();
    wrong += word != 0;
    for (int64_t i = 1; i < count; ++i) {
        while (!ring->pop(word)) {}
        wrong += word != i;
    }
    return wrong ? -1 : cycles() - start;
}

// Return the cycles of `count` pushes and pops in one thread, or -1 if a word was wrong.
int64_t ring_push_pop(Ring *ring, int64_t count) {
    int64_t word = -1, wrong = 0;
    const int64_t start = cycles();
    for (int64_t i = 0; i < count; ++i) {
        ring->push(i);
        ring->pop(word);
        wrong += word != i;
    }
    const int64_t taken = cycles() - start;
    return wrong ? -1 : taken;
}

// Return the cycles of `count` pairs of a store to the first-level cache and a load of what was
// stored, each pair waiting for the one before: what any hand-over through memory costs one thread.
int64_t store_load(volatile int64_t *word, int64_t count) {
    const int64_t start = cycles();
    for (int64_t i = 0; i < count; ++i) *word = *word + 1;
    return cycles() - start;
}

}  // extern "C"
