import { NextResponse } from "next/server";

// As products with sign-in have it: strangers are sent to the sign-in page. What is excepted, docs/placing.md says.
export function proxy(request) {
  const { pathname } = request.nextUrl;
  const isExcepted = pathname === "/sign-in" || isOurs.test(pathname);
  return isExcepted ? NextResponse.next() : NextResponse.redirect(new URL("/sign-in", request.url));
}

