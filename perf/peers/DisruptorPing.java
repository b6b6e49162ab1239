import com.lmax.disruptor.BatchEventProcessor;
import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;

/**
 * The peer: one-way latency of the LMAX Disruptor, one producer and one consumer in each direction.
 *
 * <p>Its own best: single-producer ring buffers, busy-spinning consumers, long values in place. The two
 * threads are called "ping" and "pong", so that they can be pinned from outside. Every line of standard
 * input is a number of messages; the answer is the 50th, 99th and 99.9th percentile of half of
 * the round trips, in nanoseconds.
 */
public final class DisruptorPing {
    private static final int CAPACITY = 1024;
    private static final int WARM_UP = 1_000;

    private static final class Cell {
        long word;
    }

    private static RingBuffer<Cell> ring() {
        return RingBuffer.createSingleProducer(Cell::new, CAPACITY, new BusySpinWaitStrategy());
    }

    private static void push(RingBuffer<Cell> ring, long word) {
        long at = ring.next();
        ring.get(at).word = word;
        ring.publish(at);
    }

    private static void consume(RingBuffer<Cell> ring, EventHandler<Cell> handler, String name) {
        BatchEventProcessor<Cell> processor = new BatchEventProcessor<>(ring, ring.newBarrier(), handler);
        ring.addGatingSequences(processor.getSequence());
        Thread thread = new Thread(processor, name);
        thread.setDaemon(true);
        thread.start();
    }

    /** Sends, and takes what comes back in the same thread: one thread on each side, as in the others. */
    private static final class Ping implements Runnable {
        private final RingBuffer<Cell> there;
        private final RingBuffer<Cell> back;

        Ping(RingBuffer<Cell> there, RingBuffer<Cell> back) {
            this.there = there;
            this.back = back;
        }

        @Override
        public void run() {
            try {
                BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
                Sequence mine = new Sequence(-1);
                back.addGatingSequences(mine);
                SequenceBarrier barrier = back.newBarrier();
                System.out.println("ready");
                for (String line = in.readLine(); line != null; line = in.readLine()) {
                    measure(Integer.parseInt(line.trim()), mine, barrier);
                }
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }

        private void measure(
                int count, Sequence mine, SequenceBarrier barrier)
                throws Exception {
            long[] samples = new long[count];
            for (int i = 0; i < count; i++) {
                long start = System.nanoTime();
                push(there, i);
                long next = mine.get() + 1;
                barrier.waitFor(next);
                if (back.get(next).word != i) {
                    throw new IllegalStateException("a message was lost");
                }
                mine.set(next);
                samples[i] = System.nanoTime() - start;
            }
            samples = Arrays.copyOfRange(samples, WARM_UP, count);
            Arrays.sort(samples);
            System.out.println(at(samples, 0.5) + " " + at(samples, 0.99) + " " + at(samples, 0.999));
        }

        private static double at(long[] sorted, double share) {
            return sorted[(int) (share * (sorted.length - 1))] / 2.0;
        }
    }

    public static void main(String[] arguments) throws Exception {
        RingBuffer<Cell> there = ring();
        RingBuffer<Cell> back = ring();
        consume(there, (cell, at, last) -> push(back, cell.word), "pong");
        Thread ping = new Thread(new Ping(there, back), "ping");
        ping.start();
        ping.join();
    }
}
