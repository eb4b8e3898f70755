import java.io.IOException;
import java.time.Duration;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.core.fs.Path;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts and sums of each card, as a Flink job of one's own would keep them: each event once, whatever was sent twice; windows of an hour
 * and a day that end at the event's own time; a total. State is checkpointed exactly once, and the outcomes are files that a checkpoint
 * commits.
 *
 * usage: Cards INPUT OUTPUT CHECKPOINTS (hashmap | rocksdb)
 */
public final class Cards {
    private static final long HOUR_MS = 3_600_000L;
    private static final long DAY_MS = 24 * HOUR_MS;
    /** How long an event is kept to know it again: Tidemark's built-in horizon. */
    private static final long HORIZON_MS = 7 * DAY_MS;
    private static final Duration CHECKPOINT_EVERY = Duration.ofSeconds(1);

    private Cards() {}

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("state.backend.type", arguments[3]);
        configuration.setString("execution.checkpointing.incremental", "true");
        configuration.setString("execution.checkpointing.dir", new Path(arguments[2]).makeQualified(new Path(arguments[2]).getFileSystem()).toString());
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        environment.enableCheckpointing(CHECKPOINT_EVERY.toMillis(), CheckpointingMode.EXACTLY_ONCE);
        environment.getConfig().enableObjectReuse();
        FileSource<String> source =
            FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path(arguments[0])).build();
        FileSink<String> sink = FileSink.forRowFormat(new Path(arguments[1]), new SimpleStringEncoder<String>()).build();
        environment
            // One reader, so that a card's events come in the file's order.
            .fromSource(source, WatermarkStrategy.noWatermarks(), "file")
            .setParallelism(1)
            .flatMap(new Read())
            .setParallelism(1)
            .returns(Types.TUPLE(Types.STRING, Types.STRING, Types.LONG, Types.LONG))
            .keyBy(event -> event.f0)
            .process(new Count())
            .sinkTo(sink);
        environment.execute("cards");
    }

    /** (card, event, time, amount) of a transaction. */
    private static final class Read implements FlatMapFunction<String, Tuple4<String, String, Long, Long>> {
        private static final long serialVersionUID = 1L;
        private static final ObjectMapper MAPPER = new ObjectMapper();

        @Override
        public void flatMap(String line, Collector<Tuple4<String, String, Long, Long>> out) throws IOException {
            JsonNode event = MAPPER.readTree(line);
            if ("transaction".equals(event.path("schema").asText())) {
                long timeMs = event.get("occurred_at_ms").asLong();
                out.collect(
                    Tuple4.of(event.get("card_id").asText(), event.get("event_id").asText(), timeMs, event.get("amount_minor").asLong()));
            }
        }
    }

    private static final class Count extends KeyedProcessFunction<String, Tuple4<String, String, Long, Long>, String> {
        private static final long serialVersionUID = 1L;
        /** Events within the horizon, by (time, event), with their amounts. */
        private transient MapState<Tuple2<Long, String>, Long> events;
        /** (events, sum of amounts, newest time) of all time. */
        private transient ValueState<Tuple4<Long, Long, Long, Long>> total;

        @Override
        public void open(OpenContext context) {
            events = getRuntimeContext()
                .getMapState(new MapStateDescriptor<>("events", Types.TUPLE(Types.LONG, Types.STRING), Types.LONG));
            total = getRuntimeContext()
                .getState(new ValueStateDescriptor<>("total", Types.TUPLE(Types.LONG, Types.LONG, Types.LONG, Types.LONG)));
        }

        @Override
        public void processElement(Tuple4<String, String, Long, Long> event, Context context, Collector<String> out) throws Exception {
            Tuple2<Long, String> key = Tuple2.of(event.f2, event.f1);
            if (events.contains(key)) {
                return;
            }
            events.put(key, event.f3);
            Tuple4<Long, Long, Long, Long> sum = total.value();
            sum = sum == null ? Tuple4.of(0L, 0L, Long.MIN_VALUE, Long.MAX_VALUE) : sum;
            sum = Tuple4.of(sum.f0 + 1, sum.f1 + event.f3, Math.max(sum.f2, event.f2), Math.min(sum.f3, event.f2));
            long hour = 0;
            long day = 0;
            long daySum = 0;
            boolean expires = sum.f3 <= sum.f2 - HORIZON_MS;
            for (var entry : events.entries()) {
                long ageMs = event.f2 - entry.getKey().f0;
                if (ageMs >= 0 && ageMs < DAY_MS) {
                    day += 1;
                    daySum += entry.getValue();
                    hour += ageMs < HOUR_MS ? 1 : 0;
                }
            }
            if (expires) {
                sum.f3 = sum.f2;
                for (var entries = events.entries().iterator(); entries.hasNext(); ) {
                    long timeMs = entries.next().getKey().f0;
                    if (timeMs <= sum.f2 - HORIZON_MS) {
                        entries.remove();
                    } else {
                        sum.f3 = Math.min(sum.f3, timeMs);
                    }
                }
            }
            total.update(sum);
            out.collect(String.join(
                "\t", event.f0, event.f1, Long.toString(event.f2), Long.toString(hour), Long.toString(day), Long.toString(daySum),
                Long.toString(sum.f0), Long.toString(sum.f1)));
        }
    }
}
