/* SPDX-License-Identifier: MIT */
/**
 * @file jobq.h
 * All of libjobq. Handlers include <jobq/handler.h> instead, which needs nothing of this.
 */
#ifndef JOBQ_JOBQ_H
#define JOBQ_JOBQ_H

#include <jobq/api.h>
#include <jobq/client.h>
#include <jobq/error.h>
#include <jobq/job.h>

#endif
