// The metrics of workers, their queues, and the interfaces that packets came in by.
#include <map>
#include <numeric>

#include "api/metric_writer.hpp"
#include "api/metrics_sections.hpp"

namespace nfsteer::api {
namespace {

using control::QueueStatus;
using control::Status;
using control::WorkerStatus;

template <core::Event Event>
double count_of(const WorkerStatus& worker) {
  return metric_value(worker.events[static_cast<std::size_t>(Event)]);
}

void write_worker_histograms(std::ostream& out, const std::vector<Labelled<WorkerStatus>>& workers) {
  std::vector<prometheus::ClientMetric> batches, decisions;
  for (const auto& [labels, worker] : workers) {
    const auto decided = std::accumulate(worker->decisions.begin(), worker->decisions.end(), std::uint64_t{});
    batches.push_back(histogram(labels, worker->batch_sizes, 1, 1, metric_value(decided)));
    decisions.push_back(histogram(labels, worker->decisions, core::kDecisionBucket_ns, 1e9,
                                  metric_value(worker->decision_ns) / 1e9));
  }
  write_family(out, "nfsteer_worker_batch_packets", "Packets decided in one go.", MetricType::Histogram,
               std::move(batches));
  write_family(out, "nfsteer_worker_decision_seconds",
               "Time to decide about a packet, each counted as the mean of its batch.", MetricType::Histogram,
               std::move(decisions));
}

void write_all_workers(std::ostream& out, const Status& status) {
  using core::Event;
  std::vector<Labelled<WorkerStatus>> workers;
  for (std::size_t index = 0; index < status.workers.size(); ++index)
    workers.push_back({{{"worker", std::to_string(index)}}, &status.workers[index]});
  write_families<WorkerStatus>(
      out,
      {counter<WorkerStatus>("nfsteer_worker_received_packets_total",
                             "Packets received from the kernel's queues.", count_of<Event::packets>),
       {"nfsteer_worker_packets_total",
        "Packets by what became of them; accepted: sent on unchanged.",
        MetricType::Counter,
        "verdict",
        {{"rewritten", count_of<Event::rewritten>},
         {"accepted", count_of<Event::accepted>},
         {"dropped", count_of<Event::dropped>}}},
       {"nfsteer_worker_unsteered_packets_total",
        "Accepted packets that the engine could not steer, by reason.",
        MetricType::Counter,
        "reason",
        {{"malformed", count_of<Event::malformed>},
         {"unsupported", count_of<Event::unsupported>},
         {"unmatched", count_of<Event::unmatched>}}},
       counter<WorkerStatus>("nfsteer_worker_no_backend_total", "Times that the policy named no backend.",
                             count_of<Event::no_backend>),
       {"nfsteer_worker_cache_lookups_total",
        "Later packets of flows, by whether the flow cache knew their backend.",
        MetricType::Counter,
        "result",
        {{"hit", count_of<Event::cache_hits>}, {"miss", count_of<Event::cache_misses>}}},
       counter<WorkerStatus>("nfsteer_worker_affinity_hits_total",
                             "New flows given to the backend that their client's last one went to.",
                             count_of<Event::affinity_hits>),
       counter<WorkerStatus>("nfsteer_worker_batches_total", "Verdict batches sent to the kernel.",
                             count_of<Event::batches>),
       counter<WorkerStatus>("nfsteer_worker_receive_overflows_total",
                             "Times that the socket's receive buffer ran over.",
                             count_of<Event::receive_overflows>),
       counter<WorkerStatus>("nfsteer_worker_receive_errors_total",
                             "Netlink messages that could not be read.", count_of<Event::receive_errors>),
       counter<WorkerStatus>("nfsteer_worker_verdict_errors_total", "Verdicts that the kernel refused.",
                             count_of<Event::verdict_errors>)},
      workers);
  write_worker_histograms(out, workers);
}

void write_queues(std::ostream& out, const Status& status) {
  using It = const QueueStatus&;
  std::vector<Labelled<QueueStatus>> queues;
  for (const QueueStatus& each : status.queues)
    queues.push_back({{{"queue", std::to_string(each.queue)},
                       {"group", std::string(core::to_string(each.group))},
                       {"worker", std::to_string(each.worker)}},
                      &each});
  write_families<QueueStatus>(
      out,
      {gauge<QueueStatus>("nfsteer_queue_waiting_packets",
                          "Packets in the kernel's queue, without a verdict.",
                          [](It it) { return metric_value(it.waiting); }),
       {"nfsteer_queue_dropped_packets_total",
        "Packets that the kernel dropped, because the queue or the socket's buffer was full.",
        MetricType::Counter,
        "reason",
        {{"queue_full", [](It it) { return metric_value(it.dropped_full); }},
         {"buffer_full", [](It it) { return metric_value(it.dropped_user); }}}}},
      queues);
}

void write_interfaces(std::ostream& out, const Status& status) {
  std::map<std::string, std::uint64_t> packets;  // two interfaces may have had one name
  for (const control::InterfaceStatus& each : status.interfaces)
    packets[each.name] += each.packets;
  std::vector<Labelled<std::uint64_t>> interfaces;
  for (const auto& [name, count] : packets)
    interfaces.push_back({{{"interface", name}}, &count});
  write_families<std::uint64_t>(
      out,
      {counter<std::uint64_t>("nfsteer_interface_packets_total",
                              "Packets that the engine saw, by the interface they came in by.",
                              [](const std::uint64_t& count) { return metric_value(count); })},
      interfaces);
}

}  // namespace

void write_worker_metrics(std::ostream& out, const Status& status) {
  write_all_workers(out, status);
  write_queues(out, status);
  write_interfaces(out, status);
}

}  // namespace nfsteer::api
