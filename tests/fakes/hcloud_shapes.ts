/** Objects as Hetzner's public documentation shows them since servers have no `datacenter` any more. */

export interface HcloudServerShape {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  [field: string]: unknown;
}

/** A server with IPv6 alone. */
export function hcloudServer(facts: Partial<HcloudServerShape> & { id: number; name: string }): HcloudServerShape {
  return {
    status: "running",
    labels: {},
    created: "2026-08-01T10:00:00Z",
    public_net: {
      ipv4: null,
      ipv6: { id: 61, ip: "2001:db8:1::/64", blocked: false, dns_ptr: [] },
      floating_ips: [],
      firewalls: [],
    },
    private_net: [],
    server_type: hcloudServerType("cx23", "0.0060"),
    location: {
      id: 2,
      name: "nbg1",
      description: "Nuremberg DC Park 1",
      country: "DE",
      city: "Nuremberg",
      latitude: 49.452102,
      longitude: 11.076665,
      network_zone: "eu-central",
    },
    image: {
      id: 310557660,
      type: "system",
      status: "available",
      name: "debian-13",
      description: "Debian 13",
      image_size: null,
      disk_size: 5,
      created: "2025-08-11T09:15:20Z",
      created_from: null,
      bound_to: null,
      os_flavor: "debian",
      os_version: "13",
      rapid_deploy: true,
      protection: { delete: false },
      deprecated: null,
      labels: {},
      architecture: "x86",
    },
    iso: null,
    rescue_enabled: false,
    locked: false,
    backup_window: null,
    outgoing_traffic: 0,
    ingoing_traffic: 0,
    included_traffic: 21990232555520,
    protection: { delete: false, rebuild: false },
    volumes: [],
    load_balancers: [],
    primary_disk_size: 40,
    placement_group: null,
    ...facts,
  };
}

export function hcloudServerType(name: string, grossHourly: string) {
  const price = (location: string) => ({
    location,
    price_hourly: { net: (Number(grossHourly) / 1.19).toFixed(10), gross: grossHourly },
    price_monthly: { net: "3.4900000000", gross: "4.1531000000000000" },
    included_traffic: 21990232555520,
    price_per_tb_traffic: { net: "1.0000000000", gross: "1.1900000000000000" },
  });
  return {
    id: 114,
    name,
    description: name.toUpperCase(),
    cores: 2,
    memory: 4,
    disk: 40,
    deprecated: null,
    prices: [price("nbg1"), price("fsn1")],
    storage_type: "local",
    cpu_type: "shared",
    category: "cost_optimized",
    architecture: "x86",
    locations: [],
  };
}
