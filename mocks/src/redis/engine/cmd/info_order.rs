//! The fields of `INFO` in the order in which the real server prints them, and what is said of those that a
//! server without a machine of its own cannot know: memory of an allocator, forks, files, threads.
//!
//! Sections say what they count; this fills the gaps, so that whoever reads a field finds it.

use std::collections::BTreeMap;

/// The fields of a section with those it lacks, in order. Fields that are not listed come last.
pub(super) fn complete(section: &str, fields: &str) -> String {
    let Some((_, order)) = SECTIONS.iter().find(|(name, _)| *name == section) else {
        return fields.to_owned();
    };
    let mut counted: BTreeMap<&str, &str> = fields.lines().filter_map(|line| line.split_once(':')).collect();
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.extend([name, ":", value, "\r\n"]);
    for (name, constant) in *order {
        match counted.get(name.strip_suffix("_human").unwrap_or_default()) {
            Some(bytes) if !counted.contains_key(name) => line(name, &human(bytes)),
            _ => line(name, counted.get(name).unwrap_or(constant)),
        }
    }
    for (name, _) in *order {
        counted.remove(name);
    }
    counted.into_iter().for_each(|(name, value)| line(name, value));
    text
}

/// A number of bytes as people read it (`bytesToHuman`).
fn human(bytes: &str) -> String {
    let bytes: f64 = bytes.parse().unwrap_or(0.0);
    let units =
        [(1.0, "B"), (1024.0, "K"), (1_048_576.0, "M"), (1_073_741_824.0, "G"), (1_099_511_627_776.0, "T")];
    let fitting = units.iter().rev().find(|(size, _)| bytes >= *size).unwrap_or(&units[0]);
    if fitting.1 == "B" { format!("{bytes}B") } else { format!("{:.2}{}", bytes / fitting.0, fitting.1) }
}

type Section = (&'static str, &'static [(&'static str, &'static str)]);

/// Names, and what is said where nothing is counted.
#[rustfmt::skip]
const SECTIONS: &[Section] = &[
    ("Server", &[
        ("redis_version", ""),
        ("redis_git_sha1", "0"),
        ("redis_git_dirty", "0"),
        ("redis_build_id", "0"),
        ("redis_mode", "0"),
        ("os", "0"),
        ("arch_bits", "0"),
        ("monotonic_clock", "POSIX clock_gettime"),
        ("multiplexing_api", "epoll"),
        ("atomicvar_api", "c11-builtin"),
        ("gcc_version", "0.0.0"),
        ("process_id", "0"),
        ("process_supervised", "no"),
        ("run_id", "0"),
        ("tcp_port", "0"),
        ("server_time_usec", "0"),
        ("uptime_in_seconds", "0"),
        ("uptime_in_days", "0"),
        ("hz", "0"),
        ("configured_hz", "0"),
        ("lru_clock", "0"),
        ("executable", ""),
        ("config_file", ""),
        ("io_threads_active", "0"),
    ]),
    ("Clients", &[
        ("connected_clients", "0"),
        ("cluster_connections", "0"),
        ("maxclients", "0"),
        ("client_recent_max_input_buffer", "0"),
        ("client_recent_max_output_buffer", "0"),
        ("blocked_clients", "0"),
        ("tracking_clients", "0"),
        ("clients_in_timeout_table", "0"),
    ]),
    ("Memory", &[
        ("used_memory", "0"),
        ("used_memory_human", "0B"),
        ("used_memory_rss", "0"),
        ("used_memory_rss_human", "0B"),
        ("used_memory_peak", "0"),
        ("used_memory_peak_human", "0B"),
        ("used_memory_peak_perc", "100.00%"),
        ("used_memory_overhead", "0"),
        ("used_memory_startup", "0"),
        ("used_memory_dataset", "0"),
        ("used_memory_dataset_perc", "100.00%"),
        ("allocator_allocated", "0"),
        ("allocator_active", "0"),
        ("allocator_resident", "0"),
        ("total_system_memory", "0"),
        ("total_system_memory_human", "0B"),
        ("used_memory_lua", "0"),
        ("used_memory_vm_eval", "0"),
        ("used_memory_lua_human", "0B"),
        ("used_memory_scripts_eval", "0"),
        ("number_of_cached_scripts", "0"),
        ("number_of_functions", "0"),
        ("number_of_libraries", "0"),
        ("used_memory_vm_functions", "0"),
        ("used_memory_vm_total", "0"),
        ("used_memory_vm_total_human", "0B"),
        ("used_memory_functions", "0"),
        ("used_memory_scripts", "0"),
        ("used_memory_scripts_human", "0B"),
        ("maxmemory", "0"),
        ("maxmemory_human", "0B"),
        ("maxmemory_policy", "0"),
        ("allocator_frag_ratio", "1.00"),
        ("allocator_frag_bytes", "0"),
        ("allocator_rss_ratio", "1.00"),
        ("allocator_rss_bytes", "0"),
        ("rss_overhead_ratio", "1.00"),
        ("rss_overhead_bytes", "0"),
        ("mem_fragmentation_ratio", "1.00"),
        ("mem_fragmentation_bytes", "0"),
        ("mem_not_counted_for_evict", "0"),
        ("mem_replication_backlog", "0"),
        ("mem_total_replication_buffers", "0"),
        ("mem_clients_slaves", "0"),
        ("mem_clients_normal", "0"),
        ("mem_cluster_links", "0"),
        ("mem_aof_buffer", "0"),
        ("mem_allocator", "0"),
        ("active_defrag_running", "0"),
        ("lazyfree_pending_objects", "0"),
        ("lazyfreed_objects", "0"),
    ]),
    ("Persistence", &[
        ("loading", "0"),
        ("async_loading", "0"),
        ("current_cow_peak", "0"),
        ("current_cow_size", "0"),
        ("current_cow_size_age", "0"),
        ("current_fork_perc", "0.00"),
        ("current_save_keys_processed", "0"),
        ("current_save_keys_total", "0"),
        ("rdb_changes_since_last_save", "0"),
        ("rdb_bgsave_in_progress", "0"),
        ("rdb_last_save_time", "0"),
        ("rdb_last_bgsave_status", "0"),
        ("rdb_last_bgsave_time_sec", "-1"),
        ("rdb_current_bgsave_time_sec", "-1"),
        ("rdb_saves", "0"),
        ("rdb_last_cow_size", "0"),
        ("rdb_last_load_keys_expired", "0"),
        ("rdb_last_load_keys_loaded", "0"),
        ("aof_enabled", "0"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_rewrite_scheduled", "0"),
        ("aof_last_rewrite_time_sec", "-1"),
        ("aof_current_rewrite_time_sec", "-1"),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_rewrites", "0"),
        ("aof_rewrites_consecutive_failures", "0"),
        ("aof_last_write_status", "0"),
        ("aof_last_cow_size", "0"),
        ("module_fork_in_progress", "0"),
        ("module_fork_last_cow_size", "0"),
    ]),
    ("Stats", &[
        ("total_connections_received", "0"),
        ("total_commands_processed", "0"),
        ("instantaneous_ops_per_sec", "0"),
        ("total_net_input_bytes", "0"),
        ("total_net_output_bytes", "0"),
        ("total_net_repl_input_bytes", "0"),
        ("total_net_repl_output_bytes", "0"),
        ("instantaneous_input_kbps", "0.00"),
        ("instantaneous_output_kbps", "0.00"),
        ("instantaneous_input_repl_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
        ("rejected_connections", "0"),
        ("sync_full", "0"),
        ("sync_partial_ok", "0"),
        ("sync_partial_err", "0"),
        ("expired_keys", "0"),
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", "0"),
        ("expire_cycle_cpu_milliseconds", "0"),
        ("evicted_keys", "0"),
        ("evicted_clients", "0"),
        ("total_eviction_exceeded_time", "0"),
        ("current_eviction_exceeded_time", "0"),
        ("keyspace_hits", "0"),
        ("keyspace_misses", "0"),
        ("pubsub_channels", "0"),
        ("pubsub_patterns", "0"),
        ("pubsubshard_channels", "0"),
        ("latest_fork_usec", "0"),
        ("total_forks", "0"),
        ("migrate_cached_sockets", "0"),
        ("slave_expires_tracked_keys", "0"),
        ("active_defrag_hits", "0"),
        ("active_defrag_misses", "0"),
        ("active_defrag_key_hits", "0"),
        ("active_defrag_key_misses", "0"),
        ("total_active_defrag_time", "0"),
        ("current_active_defrag_time", "0"),
        ("tracking_total_keys", "0"),
        ("tracking_total_items", "0"),
        ("tracking_total_prefixes", "0"),
        ("unexpected_error_replies", "0"),
        ("total_error_replies", "0"),
        ("dump_payload_sanitizations", "0"),
        ("total_reads_processed", "0"),
        ("total_writes_processed", "0"),
        ("io_threaded_reads_processed", "0"),
        ("io_threaded_writes_processed", "0"),
        ("reply_buffer_shrinks", "0"),
        ("reply_buffer_expands", "0"),
    ]),
    ("CPU", &[
        ("used_cpu_sys", "0.000000"),
        ("used_cpu_user", "0.000000"),
        ("used_cpu_sys_children", "0.000000"),
        ("used_cpu_user_children", "0.000000"),
        ("used_cpu_sys_main_thread", "0.000000"),
        ("used_cpu_user_main_thread", "0.000000"),
    ]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_in_its_place_among_constants() {
        let text = complete("Memory", "maxmemory:1536\r\nused_memory:10\r\nmore:1\r\n");
        assert!(
            text.starts_with("used_memory:10\r\nused_memory_human:10B\r\nused_memory_rss:0\r\n"),
            "{text}"
        );
        assert!(text.contains("maxmemory:1536\r\nmaxmemory_human:1.50K\r\n"), "{text}");
        assert!(text.ends_with("more:1\r\n"), "{text}");
    }
}
