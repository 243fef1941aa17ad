// Go's three clients, franz-go, kafka-go and sarama: what their READMEs show, example by example. Each prints its name,
// then what it saw, and a line that begins with `!!` if it failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var addresses = strings.Split(os.Getenv("KAFKA"), ",")

func main() {
	example("franz-go: produce and consume", franzSimple)
	example("franz-go: a group commits and goes on", franzGroup)
	example("franz-go: members share the partitions", franzMembers)
	example("franz-go: transactions", franzTransactions)
	example("franz-go: admin", franzAdmin)
	example("kafka-go: write and read", segmentSimple)
	example("kafka-go: a group commits and goes on", segmentGroup)
	example("kafka-go: offsets and topics", segmentOffsets)
	example("sarama: produce and consume", saramaSimple)
	example("sarama: a group", saramaGroup)
	example("sarama: transactions", saramaTransactions)
	example("sarama: admin", saramaAdmin)
}

func example(name string, run func(context.Context) error) {
	fmt.Println("##", name)
	within, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := run(within); err != nil {
		fmt.Println("!!", err)
	}
}

func franz(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addresses...)}, options...)...)
	if err != nil {
		panic(err)
	}
	return client
}

func create(ctx context.Context, topic string, partitions int32) error {
	client := franz()
	defer client.Close()
	_, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, topic)
	return err
}

func record(topic, value string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("x")}}}
}

func franzTake(ctx context.Context, client *kgo.Client, count int) error {
	for count > 0 {
		fetches := client.PollRecords(ctx, count)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Println(r.Topic, r.Partition, r.Offset, string(r.Key), string(r.Value), len(r.Headers), r.LeaderEpoch)
			count--
		})
	}
	return nil
}

func franzSimple(ctx context.Context) error {
	if err := create(ctx, "franz", 1); err != nil {
		return err
	}
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		client := franz(kgo.ProducerBatchCompression(codec))
		produced, err := client.ProduceSync(ctx, record("franz", strings.Repeat("x", 50)), record("franz", "two")).First()
		if err != nil {
			return err
		}
		fmt.Println(produced.Partition, produced.Offset, produced.ProducerEpoch)
		client.Close()
	}
	client := franz(kgo.ConsumeTopics("franz"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	return franzTake(ctx, client, 10)
}

func franzGroup(ctx context.Context) error {
	if err := create(ctx, "franz-group", 1); err != nil {
		return err
	}
	producer := franz()
	defer producer.Close()
	for _, value := range []string{"1", "2", "3", "4"} {
		if err := producer.ProduceSync(ctx, record("franz-group", value)).FirstErr(); err != nil {
			return err
		}
	}
	for range 2 {
		client := franz(kgo.ConsumerGroup("franz"), kgo.ConsumeTopics("franz-group"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err := franzTake(ctx, client, 2); err != nil {
			return err
		}
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		client.Close()
	}
	offsets, err := kadm.NewClient(producer).FetchOffsets(ctx, "franz")
	offsets.Each(func(o kadm.OffsetResponse) { fmt.Println(o.Topic, o.Partition, o.At, o.LeaderEpoch, o.Metadata != "") })
	return err
}

func franzMembers(ctx context.Context) error {
	if err := create(ctx, "franz-shared", 4); err != nil {
		return err
	}
	counts := make(chan int, 100)
	options := func() []kgo.Opt {
		held := 0
		return []kgo.Opt{
			kgo.ConsumerGroup("franz-sharers"), kgo.ConsumeTopics("franz-shared"),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
				held += len(added["franz-shared"])
				counts <- held
			}),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
				held -= len(lost["franz-shared"])
			}),
		}
	}
	one := franz(options()...)
	defer one.Close()
	for held := range counts {
		if held == 4 {
			break
		}
	}
	two := franz(options()...)
	defer two.Close()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case held := <-counts:
			if held == 2 {
				fmt.Println("two each")
				return nil
			}
		}
	}
}

func franzTransactions(ctx context.Context) error {
	if err := create(ctx, "franz-paid", 1); err != nil {
		return err
	}
	client := franz(kgo.TransactionalID("franz"))
	defer client.Close()
	for _, each := range []struct {
		value string
		end   kgo.TransactionEndTry
	}{{"committed", kgo.TryCommit}, {"aborted", kgo.TryAbort}, {"last", kgo.TryCommit}} {
		if err := client.BeginTransaction(); err != nil {
			return err
		}
		if err := client.ProduceSync(ctx, record("franz-paid", each.value)).FirstErr(); err != nil {
			return err
		}
		if err := client.EndTransaction(ctx, each.end); err != nil {
			return err
		}
	}
	reader := franz(kgo.ConsumeTopics("franz-paid"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer reader.Close()
	return franzTake(ctx, reader, 2)
}

func franzAdmin(ctx context.Context) error {
	client := franz()
	defer client.Close()
	admin := kadm.NewClient(client)
	if err := create(ctx, "franz-admin", 2); err != nil {
		return err
	}
	fmt.Println(create(ctx, "franz-admin", 2))
	more, err := admin.UpdatePartitions(ctx, 3, "franz-admin")
	if err != nil {
		return err
	}
	fmt.Println(more["franz-admin"].Err)
	changed, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("5000")}}, "franz-admin")
	if err != nil {
		return err
	}
	fmt.Println(changed[0].Name, changed[0].Err)
	configs, err := admin.DescribeTopicConfigs(ctx, "franz-admin")
	if err != nil {
		return err
	}
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			fmt.Println(config.Key, config.MaybeValue(), config.Source)
		}
	}
	ends, err := admin.ListEndOffsets(ctx, "franz-group")
	if err != nil {
		return err
	}
	ends.Each(func(o kadm.ListedOffset) { fmt.Println(o.Topic, o.Partition, o.Offset, o.Err) })
	lags, err := admin.Lag(ctx, "franz")
	if err != nil {
		return err
	}
	for _, lag := range lags.Sorted() {
		fmt.Println(lag.Group, lag.State, lag.Lag.Total())
	}
	deleted, err := admin.DeleteTopics(ctx, "franz-admin")
	if err != nil {
		return err
	}
	fmt.Println(deleted["franz-admin"].Err)
	gone, err := admin.DeleteGroups(ctx, "franz")
	fmt.Println(gone["franz"].Err)
	return err
}

func segmentSimple(ctx context.Context) error {
	if err := create(ctx, "segment", 1); err != nil {
		return err
	}
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		writer := &kafka.Writer{Addr: kafka.TCP(addresses...), Topic: "segment", Compression: codec, BatchTimeout: 10 * time.Millisecond, RequiredAcks: kafka.RequireAll}
		if err := writer.WriteMessages(ctx, kafka.Message{Key: []byte("k"), Value: []byte(fmt.Sprint("by ", codec))}); err != nil {
			return err
		}
		if err := writer.Close(); err != nil {
			return err
		}
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: addresses, Topic: "segment", MaxWait: 200 * time.Millisecond})
	defer reader.Close()
	for range 5 {
		message, err := reader.ReadMessage(ctx)
		if err != nil {
			return err
		}
		fmt.Println(message.Partition, message.Offset, string(message.Key), string(message.Value), message.HighWaterMark)
	}
	return nil
}

func segmentGroup(ctx context.Context) error {
	for range 2 {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: addresses, GroupID: "segment", Topic: "segment", StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond})
		for range 2 {
			message, err := reader.FetchMessage(ctx)
			if err != nil {
				return err
			}
			fmt.Println(message.Offset, string(message.Value))
			if err := reader.CommitMessages(ctx, message); err != nil {
				return err
			}
		}
		if err := reader.Close(); err != nil {
			return err
		}
	}
	return nil
}

func segmentOffsets(ctx context.Context) error {
	client := &kafka.Client{Addr: kafka.TCP(addresses...)}
	offsets, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{"segment": {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}}})
	if err != nil {
		return err
	}
	fmt.Println(offsets.Topics["segment"][0].FirstOffset, offsets.Topics["segment"][0].LastOffset)
	made, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "segment-2", NumPartitions: 2, ReplicationFactor: 1}, {Topic: "segment", NumPartitions: 1, ReplicationFactor: 1}}})
	if err != nil {
		return err
	}
	fmt.Println(made.Errors["segment-2"], made.Errors["segment"])
	metadata, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"segment-2"}})
	if err != nil {
		return err
	}
	fmt.Println(len(metadata.Topics[0].Partitions), len(metadata.Brokers))
	gone, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{"segment-2", "nowhere"}})
	if err != nil {
		return err
	}
	fmt.Println(gone.Errors["segment-2"], gone.Errors["nowhere"])
	return nil
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V4_0_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	return config
}

func saramaSimple(ctx context.Context) error {
	if err := create(ctx, "sarama", 1); err != nil {
		return err
	}
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
		config := saramaConfig()
		config.Producer.Compression = codec
		producer, err := sarama.NewSyncProducer(addresses, config)
		if err != nil {
			return err
		}
		partition, offset, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "sarama", Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("by " + codec.String())})
		if err != nil {
			return err
		}
		fmt.Println(partition, offset)
		producer.Close()
	}
	consumer, err := sarama.NewConsumer(addresses, saramaConfig())
	if err != nil {
		return err
	}
	defer consumer.Close()
	reader, err := consumer.ConsumePartition("sarama", 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer reader.Close()
	for range 5 {
		message := <-reader.Messages()
		fmt.Println(message.Partition, message.Offset, string(message.Key), string(message.Value))
	}
	return nil
}

type saramaHandler struct {
	left   int
	cancel context.CancelFunc
}

func (*saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (handler *saramaHandler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		fmt.Println(message.Offset, string(message.Value))
		session.MarkMessage(message, "")
		if handler.left--; handler.left == 0 {
			session.Commit()
			handler.cancel()
			return nil
		}
	}
	return nil
}

func saramaGroup(ctx context.Context) error {
	for range 2 {
		group, err := sarama.NewConsumerGroup(addresses, "sarama", saramaConfig())
		if err != nil {
			return err
		}
		within, cancel := context.WithCancel(ctx)
		if err := group.Consume(within, []string{"sarama"}, &saramaHandler{2, cancel}); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		group.Close()
	}
	return nil
}

func saramaTransactions(ctx context.Context) error {
	if err := create(ctx, "sarama-paid", 1); err != nil {
		return err
	}
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = "sarama"
	producer, err := sarama.NewSyncProducer(addresses, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, each := range []struct {
		value string
		end   func() error
	}{{"committed", producer.CommitTxn}, {"aborted", producer.AbortTxn}, {"last", producer.CommitTxn}} {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "sarama-paid", Value: sarama.StringEncoder(each.value)}); err != nil {
			return err
		}
		if err := each.end(); err != nil {
			return err
		}
	}
	reading := saramaConfig()
	reading.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer(addresses, reading)
	if err != nil {
		return err
	}
	defer consumer.Close()
	reader, err := consumer.ConsumePartition("sarama-paid", 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer reader.Close()
	for range 2 {
		message := <-reader.Messages()
		fmt.Println(message.Offset, string(message.Value))
	}
	return nil
}

func saramaAdmin(ctx context.Context) error {
	admin, err := sarama.NewClusterAdmin(addresses, saramaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}
	fmt.Println(admin.CreateTopic("sarama-admin", detail, false))
	fmt.Println(admin.CreateTopic("sarama-admin", detail, false))
	fmt.Println(admin.CreatePartitions("sarama-admin", 3, nil, false))
	topics, err := admin.DescribeTopics([]string{"sarama-admin"})
	if err != nil {
		return err
	}
	fmt.Println(topics[0].Name, len(topics[0].Partitions))
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "sarama-admin", ConfigNames: []string{"cleanup.policy"}})
	if err != nil {
		return err
	}
	for _, entry := range entries {
		fmt.Println(entry.Name, entry.Value, entry.Default, entry.ReadOnly)
	}
	groups, err := admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Println(names)
	fmt.Println(admin.DeleteRecords("sarama", map[int32]int64{0: 2}))
	fmt.Println(admin.DeleteConsumerGroup("sarama"))
	fmt.Println(admin.DeleteTopic("sarama-admin"))
	return nil
}
