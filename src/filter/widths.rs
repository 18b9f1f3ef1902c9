//! The largest number that a field can hold, as Wireshark keeps it: in 8, 16, 24 or 32 bits. A comparison with a larger one
//! is a mistake that would never be noticed, so it is refused, as Wireshark does.

/// The keys, by that number. (`tshark -G fields` lists the types; a test compares.)
static MOST: [(u64, &str); 5] = [
    (
        0xff,
        "ah.length ah.next_header arp.hw.size arp.proto.size ber.bitstring.padding dns.caa.flags dns.caa.tag_length \
         dns.opt.client.netmask dns.opt.client.scope dns.resp.edns0_version dns.resp.ext_rcode dns.svcb.svcparam.alpn.length \
         dns.txt.length dtls.use_srtp.mki_length icmp.addr_entry_size icmp.checksum.status icmp.code icmp.length \
         icmp.num_addrs icmp.type icmpv6.checksum.status icmpv6.code icmpv6.length icmpv6.mld.flag icmpv6.mld.flag.qrv \
         icmpv6.mld.flag.reserved icmpv6.mld.qqi icmpv6.mldr.mar.aux_data_len icmpv6.mldr.mar.record_type \
         icmpv6.nd.ra.cur_hop_limit icmpv6.nd.ra.flag icmpv6.nd.ra.flag.prf icmpv6.nd.ra.flag.rsv icmpv6.opt.length \
         icmpv6.opt.prefix.flag icmpv6.opt.prefix.flag.reserved icmpv6.opt.prefix.length icmpv6.opt.type icmpv6.type \
         ip.checksum.status ip.dsfield ip.dsfield.dscp ip.dsfield.ecn ip.flags ip.hdr_len ip.opt.flag ip.opt.len \
         ip.opt.overflow ip.opt.ptr ip.opt.type ip.opt.type.class ip.opt.type.number ip.proto ip.ttl ip.version \
         ipv6.dstopts.len ipv6.dstopts.nxt ipv6.fraghdr.nxt ipv6.fraghdr.reserved_octet ipv6.hlim ipv6.hopopts.len \
         ipv6.hopopts.nxt ipv6.nxt ipv6.opt.length ipv6.opt.tel ipv6.opt.type ipv6.opt.type.action ipv6.opt.type.rest \
         ipv6.routing.len ipv6.routing.nxt ipv6.routing.segleft ipv6.routing.srh.flags ipv6.routing.srh.last_entry \
         ipv6.routing.type ipv6.version tcp.checksum.status tcp.hdr_len tcp.option_kind tcp.option_len tcp.options.ao.keyid \
         tcp.options.ao.rnextkeyid tcp.options.mptcp.flags tcp.options.mptcp.subtype tcp.options.wscale.shift \
         tls.alert_message.desc tls.alert_message.level tls.compress_certificate.algorithms_length \
         tls.extension.oid_filters.oid_length tls.extension.psk_ke_mode tls.extension.psk_ke_modes_length \
         tls.handshake.cert_type tls.handshake.cert_type.type tls.handshake.cert_type.types_len \
         tls.handshake.cert_types_count tls.handshake.certificate_request_context_length tls.handshake.client_point_len \
         tls.handshake.comp_method tls.handshake.comp_methods_length tls.handshake.extension.heartbeat.mode \
         tls.handshake.extensions.supported_versions_len tls.handshake.extensions_alpn_str_len \
         tls.handshake.extensions_ec_point_format tls.handshake.extensions_ec_point_formats_length \
         tls.handshake.extensions_reneg_info_len tls.handshake.extensions_server_name_type \
         tls.handshake.extensions_status_request_type tls.handshake.key_update.request_update \
         tls.handshake.max_fragment_length tls.handshake.server_curve_type tls.handshake.server_point_len \
         tls.handshake.session_ticket_nonce_length tls.handshake.type tls.heartbeat_message.type tls.record.content_type \
         tls.record.opaque_type tls.sct.sct_version udp.checksum.status",
    ),
    (
        0xffff,
        "arp.hw.type arp.opcode arp.proto.type dns.count.add_rr dns.count.answers dns.count.auth_rr dns.count.labels \
         dns.count.queries dns.flags dns.flags.opcode dns.flags.rcode dns.id dns.length dns.mx.preference \
         dns.opt.client.family dns.opt.code dns.opt.ext_error.info_code dns.opt.len dns.qry.class dns.qry.name.len \
         dns.qry.type dns.resp.class dns.resp.len dns.resp.type dns.resp.z dns.resp.z.reserved dns.rr.udp_payload_size \
         dns.srv.port dns.srv.priority dns.srv.weight dns.svcb.svcparam.key dns.svcb.svcparam.mandatory.key \
         dns.svcb.svcparam.port dns.svcb.svcparam.value.length dns.svcb.svcpriority dtls.use_srtp.protection_profile \
         dtls.use_srtp.protection_profiles_length eth.len eth.type http.response.code icmp.checksum icmp.ident icmp.lifetime \
         icmp.mtu icmp.seq icmpv6.checksum icmpv6.echo.identifier icmpv6.echo.sequence_number \
         icmpv6.mld.maximum_response_code icmpv6.mld.maximum_response_delay icmpv6.mld.nb_sources icmpv6.mldr.mar.nb_sources \
         icmpv6.mldr.nb_mcast_records icmpv6.nd.ra.router_lifetime ieee8021ad.dei ieee8021ad.id ieee8021ad.priority \
         ieee8021ah.etype ip.checksum ip.checksum_calculated ip.frag_offset ip.id ip.len ip.opt.mtu ip.opt.ra ip.opt.sid \
         ipv6.fraghdr.offset ipv6.fraghdr.reserved_bits ipv6.opt.router_alert ipv6.plen sll.etype sll.gretype sll.halen \
         sll.hatype sll.ltype sll.pkttype tcp.checksum tcp.checksum_calculated tcp.dstport tcp.flags \
         tcp.options.experimental.exid tcp.options.mss_val tcp.options.user_to_val tcp.port tcp.srcport tcp.urgent_pointer \
         tcp.window_size_value tls.compress_certificate.algorithm tls.extension.oid_filters.values_length \
         tls.extension.oid_filters_length tls.handshake.cipher_suites_length tls.handshake.ciphersuite \
         tls.handshake.client_cert_vrfy.sig_len tls.handshake.dname_len tls.handshake.dnames_len tls.handshake.extension.len \
         tls.handshake.extension.type tls.handshake.extensions.cookie_len tls.handshake.extensions.psk.binders_len \
         tls.handshake.extensions.psk.identities.length tls.handshake.extensions.psk.identity.identity_length \
         tls.handshake.extensions.psk.identity.selected tls.handshake.extensions.supported_version \
         tls.handshake.extensions_alpn_len tls.handshake.extensions_key_share_client_length \
         tls.handshake.extensions_key_share_group tls.handshake.extensions_key_share_key_exchange_length \
         tls.handshake.extensions_key_share_selected_group tls.handshake.extensions_length \
         tls.handshake.extensions_server_name_len tls.handshake.extensions_server_name_list_len \
         tls.handshake.extensions_status_request_exts_len tls.handshake.extensions_status_request_responder_ids_len \
         tls.handshake.extensions_supported_group tls.handshake.extensions_supported_groups_length tls.handshake.g_len \
         tls.handshake.p_len tls.handshake.server_named_curve tls.handshake.session_id_length \
         tls.handshake.session_ticket_length tls.handshake.sig_hash_alg tls.handshake.sig_hash_alg_len tls.handshake.sig_len \
         tls.handshake.version tls.handshake.ys_len tls.heartbeat_message.payload_length tls.record.length tls.record.version \
         tls.record_size_limit tls.sct.sct_extensions_length tls.sct.sct_length tls.sct.sct_signature_length \
         tls.sct.scts_length udp.checksum udp.checksum_calculated udp.dstport udp.length udp.port udp.srcport vlan.etype \
         vlan.id vlan.len vlan.priority",
    ),
    (
        0xffffff,
        "ipv6.flow tls.compress_certificate.compressed_certificate_message.length \
         tls.compress_certificate.uncompressed_length tls.handshake.certificate_length tls.handshake.certificates_length \
         tls.handshake.length tls.handshake.ocsp_response_len",
    ),
    (
        0x7fffffff,
        "icmp.pref_level pkcs1.publicExponent tcp.window_size_scalefactor x509af.version",
    ),
    (
        0xffffffff,
        "ah.sequence ah.spi dns.resp.ttl dns.soa.expire_limit dns.soa.minimum_ttl dns.soa.refresh_interval \
         dns.soa.retry_interval dns.soa.serial_number eth.fcs frame.cap_len frame.len frame.number http.chunk_size \
         icmp.originate_timestamp icmp.pointer icmp.receive_timestamp icmp.transmit_timestamp icmpv6.mtu icmpv6.nd.na.flag \
         icmpv6.nd.na.flag.rsv icmpv6.nd.ra.reachable_time icmpv6.nd.ra.retrans_timer icmpv6.opt.mtu \
         icmpv6.opt.prefix.preferred_lifetime icmpv6.opt.prefix.valid_lifetime icmpv6.opt.rdnss.lifetime icmpv6.pointer \
         ip.fragment ip.fragment.count ip.opt.time_stamp ip.reassembled.length ipv6.fraghdr.ident ipv6.fragment \
         ipv6.fragment.count ipv6.opt.jumbo ipv6.reassembled.length ipv6.tclass ipv6.tclass.dscp ipv6.tclass.ecn null.family \
         pkix1implicit.AuthorityInfoAccessSyntax sll.ifindex tcp.ack tcp.ack_raw tcp.analysis.acks_frame \
         tcp.analysis.bytes_in_flight tcp.analysis.duplicate_ack_frame tcp.analysis.duplicate_ack_num \
         tcp.analysis.push_bytes_sent tcp.analysis.rto_frame tcp.len tcp.nxtseq tcp.options.sack_le tcp.options.sack_re \
         tcp.options.timestamp.tsecr tcp.options.timestamp.tsval tcp.seq tcp.seq_raw tcp.stream tcp.window_size \
         tls.early_data.max_early_data_size tls.handshake.extensions.psk.identity.obfuscated_ticket_age \
         tls.handshake.session_ticket_age_add tls.handshake.session_ticket_lifetime_hint udp.stream x509af.extensions \
         x509af.issuer x509af.notAfter x509af.notBefore x509af.subject x509ce.CRLDistPointsSyntax \
         x509ce.CertificatePoliciesSyntax x509ce.GeneralName x509ce.GeneralNames x509ce.KeyPurposeIDs \
         x509ce.authorityCertIssuer x509ce.directoryName x509ce.distributionPoint x509ce.fullName x509ce.policyQualifiers \
         x509if.RDNSequence_item x509if.rdnSequence",
    ),
];

/// The largest number that a field of this name can hold; `None` where 64 bits are the limit.
#[must_use]
pub fn most(key: &str) -> Option<u64> {
    let has = |names: &str| names.split_ascii_whitespace().any(|name| name == key);
    MOST.iter()
        .find(|(_, names)| has(names))
        .map(|(most, _)| *most)
}
