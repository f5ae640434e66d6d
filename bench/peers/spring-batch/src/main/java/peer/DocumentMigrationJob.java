package peer;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

import javax.sql.DataSource;

import org.bson.RawBsonDocument;

import org.springframework.batch.core.configuration.annotation.StepScope;
import org.springframework.batch.core.job.Job;
import org.springframework.batch.core.job.builder.JobBuilder;
import org.springframework.batch.core.listener.SkipListener;
import org.springframework.batch.core.repository.JobRepository;
import org.springframework.batch.core.step.Step;
import org.springframework.batch.infrastructure.item.database.JdbcPagingItemReader;
import org.springframework.batch.infrastructure.item.database.Order;
import org.springframework.batch.infrastructure.item.database.builder.JdbcPagingItemReaderBuilder;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.task.AsyncTaskExecutor;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.scheduling.concurrent.ThreadPoolTaskExecutor;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.support.TransactionTemplate;

/** The sentences of every target, from the legacy API into MongoDB and PostgreSQL. */
@Configuration
@ConditionalOnProperty(name = "job", havingValue = "documentMigration")
class DocumentMigrationJob {
    record Target(long id, String ticketKey) {}
    record Migrated(Target target, UUID preprocessId, int sentenceCount, RawBsonDocument extract) {}

    @Bean
    Job documentMigration(JobRepository repository, Steps steps, Settings settings, JdbcPagingItemReader<Target> reader, Migration migration,
                          PlatformTransactionManager transactions, JdbcTemplate jdbc) {
        SkipListener<Target, Object> skips = new SkipListener<>() {
            private final TransactionTemplate transaction = skipTransaction(settings, transactions);

            @Override public void onSkipInProcess(Target target, Throwable e) { record(target, (LegacyApi.ExpectedFault) e); }
            @Override public void onSkipInWrite(Object item, Throwable e) { record((Target) item, (LegacyApi.ExpectedFault) e); }

            private void record(Target target, LegacyApi.ExpectedFault e) {
                transaction.executeWithoutResult(status -> migration.expected(target, e));
            }
        };
        Step step = settings.fetchInProcessor()
                ? steps.<Target, Migrated>step(new Steps.Work<>("fetchAndStore", reader, migration::fetch, chunk -> migration.store(chunk.getItems())),
                        faults(skips, threads(settings.inFlight())), settings.chunk())
                : steps.<Target, Target>step(new Steps.Work<>("fetchAndStore", reader, null, chunk -> migration.store(migration.fetchAll(chunk.getItems()))),
                        faults(skips, settings.multiThreadedStep() ? threads(settings.threads()) : null), settings.chunk());
        return new JobBuilder("documentMigration", repository).start(steps.byIdRange(step, "migration_target")).build();
    }

    @SuppressWarnings("unchecked")
    private static <O> Steps.Faults<Target, O> faults(SkipListener<Target, Object> skips, AsyncTaskExecutor executor) {
        return new Steps.Faults<>(LegacyApi.ExpectedFault.class, 1000, (SkipListener<Target, O>) (SkipListener<?, ?>) skips, executor);
    }

    /** ChunkOrientedStep calls onSkipInWrite before the failed item's transaction rolls back: what the listener writes needs one of its own. */
    private static TransactionTemplate skipTransaction(Settings settings, PlatformTransactionManager transactions) {
        TransactionTemplate transaction = new TransactionTemplate(transactions);
        if (!settings.legacy() && !settings.plainSkipListener()) transaction.setPropagationBehavior(TransactionDefinition.PROPAGATION_REQUIRES_NEW);
        return transaction;
    }

    private static AsyncTaskExecutor threads(int count) {
        ThreadPoolTaskExecutor executor = new ThreadPoolTaskExecutor();
        executor.setCorePoolSize(count);
        executor.setMaxPoolSize(count);
        executor.setDaemon(true);
        executor.initialize();
        return executor;
    }

    /** Its position is not kept where several threads share it: a restart reads what is not migrated yet. */
    @Bean
    @StepScope
    JdbcPagingItemReader<Target> targetReader(DataSource db, Settings settings, IdRange ids) throws Exception {
        return new JdbcPagingItemReaderBuilder<Target>().name("targetReader").dataSource(db).saveState(!settings.multiThreadedStep())
                .selectClause("SELECT id, ticket_key").fromClause("FROM migration_target")
                .whereClause("WHERE NOT migrated AND id BETWEEN :from AND :to").parameterValues(Map.of("from", ids.from(), "to", ids.to()))
                .sortKeys(Map.of("id", Order.ASCENDING)).pageSize(settings.chunk()).fetchSize(settings.chunk())
                .rowMapper((row, i) -> new Target(row.getLong(1), row.getString(2))).build();
    }

    @Bean
    Migration migration(JdbcTemplate jdbc, Settings settings) {
        if (settings.fetchInProcessor() && settings.legacy())
            throw new IllegalStateException("the legacy model runs a chunk's processors one after another: use fetch-in-processor without legacy");
        return new Migration(jdbc, settings);
    }

    static class Migration implements AutoCloseable {
        private final JdbcTemplate jdbc;
        private final Settings settings;
        private final LegacyApi api;
        private final SentenceStore sentences;
        /** its size is the bound on calls in flight, over all chunks */
        private final ExecutorService calls;
        private final ExecutorService writes = Executors.newCachedThreadPool();

        Migration(JdbcTemplate jdbc, Settings settings) {
            this.jdbc = jdbc;
            this.settings = settings;
            api = new LegacyApi(settings.legacyApiUrl());
            sentences = new SentenceStore(settings.mongodbUrl());
            calls = Executors.newFixedThreadPool(settings.inFlight());
        }

        Migrated fetch(Target target) {
            UUID id = uuidV5(target.ticketKey);
            var list = api.sentences(target.ticketKey);
            return new Migrated(target, id, list.size(), sentences.encode(id, target.ticketKey, list));
        }

        List<Migrated> fetchAll(List<? extends Target> targets) {
            List<CompletableFuture<Migrated>> all = targets.stream().map(t -> CompletableFuture.supplyAsync((Supplier<Migrated>) () -> fetch(t), calls)).toList();
            List<Migrated> fetched = new ArrayList<>();
            RuntimeException fault = null;
            for (CompletableFuture<Migrated> one : all) {
                try {
                    fetched.add(one.join());
                } catch (CompletionException e) {
                    if (!(e.getCause() instanceof LegacyApi.ExpectedFault)) fault = e;
                    else if (fault == null) fault = (RuntimeException) e.getCause();
                }
            }
            if (fault != null) throw fault;
            return fetched;
        }

        /** MongoDB beside PostgreSQL; the chunk's transaction goes on to its commit only when MongoDB has acknowledged. */
        void store(List<? extends Migrated> chunk) {
            CompletableFuture<Void> mongo = CompletableFuture.runAsync(() -> sentences.insert(chunk.stream().<RawBsonDocument>map(Migrated::extract).toList()), writes);
            try {
                if (settings.ownConnections())
                    CompletableFuture.allOf(CompletableFuture.runAsync(() -> upsertJobs(chunk), writes), CompletableFuture.runAsync(() -> markMigrated(chunk), writes)).join();
                else {
                    upsertJobs(chunk);
                    markMigrated(chunk);
                }
            } finally {
                mongo.join();
            }
        }

        private void upsertJobs(List<? extends Migrated> chunk) {
            jdbc.batchUpdate("INSERT INTO preprocess_job(id, ticket_key, status, sentence_count, sha256, created_at, updated_at) VALUES (?, ?, 'READY', ?, ?, now(), now())"
                    + " ON CONFLICT (ticket_key) DO UPDATE SET id = excluded.id, status = excluded.status, sentence_count = excluded.sentence_count, sha256 = excluded.sha256, updated_at = excluded.updated_at",
                    chunk, chunk.size(), (ps, m) -> {
                        ps.setObject(1, m.preprocessId());
                        ps.setString(2, m.target().ticketKey);
                        ps.setInt(3, m.sentenceCount());
                        ps.setString(4, m.extract().getString("sha256").getValue());
                    });
        }

        private void markMigrated(List<? extends Migrated> chunk) {
            jdbc.batchUpdate("UPDATE migration_target SET migrated = true, preprocess_id = ?, migrated_at = clock_timestamp() WHERE id = ?",
                    chunk, chunk.size(), (ps, m) -> {
                        ps.setObject(1, m.preprocessId());
                        ps.setLong(2, m.target().id);
                    });
        }

        void expected(Target target, LegacyApi.ExpectedFault e) {
            jdbc.update("INSERT INTO expected_migration_target(migration_target_id, ticket_key, code, message, created_at) VALUES (?, ?, ?, ?, now())"
                    + " ON CONFLICT (migration_target_id) DO NOTHING", target.id, target.ticketKey, e.code, e.getMessage());
            jdbc.update("UPDATE migration_target SET migrated = true WHERE id = ?", target.id);
        }

        @Override
        public void close() {
            calls.shutdownNow();
            writes.shutdownNow();
            sentences.close();
        }

        /** Name-based, in the namespace of URLs: the same on every attempt. */
        static UUID uuidV5(String name) {
            try {
                MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
                UUID urls = UUID.fromString("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
                sha1.update(ByteBuffer.allocate(16).putLong(urls.getMostSignificantBits()).putLong(urls.getLeastSignificantBits()).array());
                ByteBuffer hash = ByteBuffer.wrap(sha1.digest(name.getBytes(StandardCharsets.UTF_8)));
                return new UUID(hash.getLong() & 0xffffffffffff0fffL | 0x5000L, hash.getLong() & 0x3fffffffffffffffL | 0x8000000000000000L);
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
