#include "stats_json.hpp"

#include "peermq/stats_fields.hpp"

namespace peermq::tools {
namespace {

double milliseconds_of(nanoseconds duration) { return static_cast<double>(duration.count()) / 1e6; }

template <typename Stats>
Json object_of(const Stats& stats);

void put(Json& json, const std::string& name, nanoseconds duration) {
    json[name + "_ms"] = milliseconds_of(duration);
}
void put(Json& json, const std::string& name, std::uint64_t number) { json[name] = number; }
void put(Json& json, const std::string& name, bool flag) { json[name] = flag; }
void put(Json& json, const std::string& name, const std::string& text) {
    put_text(json, name, text);
}
void put(Json& json, const std::string& name, const std::vector<std::string>& texts) {
    Json& list = json[name] = Json::array();
    for (const std::string& text : texts) list.push_back(text);
}
template <typename Stats>
void put(Json& json, const std::string& name, const std::vector<Stats>& all) {
    Json& list = json[name] = Json::array();
    for (const Stats& each : all) list.push_back(object_of(each));
}
template <typename Stats>
void put(Json& json, const std::string& name, const Stats& stats) {
    json[name] = object_of(stats);
}

template <typename Stats>
Json object_of(const Stats& stats) {
    Json json = Json::object();
    for_each_field(stats, [&](std::string_view name, const auto& field) {
        put(json, std::string(name), field);
    });
    return json;
}

}  // namespace

Json to_json(const PeerInfo& info) {
    Json json{{"peer", info.peer}, {"version", info.version}};
    put_text(json, "spool", info.spool);
    json["pid"] = info.pid;
    json["uptime_ms"] = milliseconds_of(info.uptime);
    json["endpoints"] = info.endpoints;
    return json;
}

Json to_json(const PeerStats& stats) { return object_of(stats); }

}  // namespace peermq::tools
