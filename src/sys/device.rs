//! Network devices: addresses, MTU, queue length, offloads; TUN and TAP are made by `tun-tap`.
