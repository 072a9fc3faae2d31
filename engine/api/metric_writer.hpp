// Metric families from tables: a row says what a family is called and how its value is taken from an item (a
// backend, a worker, ...); one function writes it for all items.
#pragma once

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nfsteer::api {

using MetricType = prometheus::MetricType;
using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// An item and the labels that tell it from the others. The item must outlive this.
template <typename Item>
struct Labelled {
  MetricLabels labels;
  const Item* item;
};

template <typename Item>
struct MetricValue {
  std::string_view label_value;  // of the row's own label
  double (*of)(const Item& item);
};

template <typename Item>
struct MetricRow {
  const char* name;
  const char* help;
  MetricType type;                        // counter or gauge
  const char* label;                      // that tells its values apart; null where it has one
  std::vector<MetricValue<Item>> values;  // each a series of its own
};

// A count, or a flag as 0 or 1.
template <std::integral T>
double metric_value(T value) {
  return static_cast<double>(value);
}

// Families with one value per item.
template <typename Item>
MetricRow<Item> counter(const char* name, const char* help, double (*value)(const Item&)) {
  return {name, help, MetricType::Counter, nullptr, {{{}, value}}};
}
template <typename Item>
MetricRow<Item> gauge(const char* name, const char* help, double (*value)(const Item&)) {
  return {name, help, MetricType::Gauge, nullptr, {{{}, value}}};
}

inline void write_family(std::ostream& out, const char* name, const char* help, MetricType type,
                         std::vector<prometheus::ClientMetric> series) {
  std::vector<prometheus::MetricFamily> families(1);
  families[0].name = name;
  families[0].help = help;
  families[0].type = type;
  families[0].metric = std::move(series);
  prometheus::TextSerializer().Serialize(out, families);
}

// One family after the other, so that only one is held in this form: it takes much more memory than the text.
template <typename Item>
void write_families(std::ostream& out, const std::vector<MetricRow<Item>>& rows,
                    const std::vector<Labelled<Item>>& items) {
  for (const MetricRow<Item>& row : rows) {
    std::vector<prometheus::ClientMetric> series;
    series.reserve(items.size() * row.values.size());
    for (const Labelled<Item>& each : items) {
      for (const MetricValue<Item>& value : row.values) {
        prometheus::ClientMetric& metric = series.emplace_back();
        metric.label.reserve(each.labels.size() + 1);
        metric.label = each.labels;
        if (row.label != nullptr) metric.label.push_back({row.label, std::string(value.label_value)});
        (row.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value.of(*each.item);
      }
    }
    write_family(out, row.name, row.help, row.type, std::move(series));
  }
}

// `counts`: observations per bucket, not yet cumulative. The upper end of bucket i is (first << i) / divisor,
// the last bucket has none.
inline prometheus::ClientMetric histogram(const MetricLabels& labels, std::span<const std::uint64_t> counts,
                                          std::uint64_t first, double divisor, double sum) {
  prometheus::ClientMetric metric;
  metric.label = labels;
  metric.histogram.sample_sum = sum;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    if (i + 1 < counts.size()) metric.histogram.bucket.push_back({total, metric_value(first << i) / divisor});
  }
  metric.histogram.sample_count = total;  // the serializer adds the bucket +Inf
  return metric;
}

}  // namespace nfsteer::api
