// With host: HTTP/1.0 lets a request name no host, and checks of load balancers do so. Such a request has a path where
// others have a URL.

/** The request with a URL. The host in it is made up; the header says nothing still. */
export function withHost(request: Request): Request {
  return request.url.startsWith("/") ? new Request(`http://localhost${request.url}`, request) : request;
}
